import{a as r,b as o}from"./chunk-AVPAUK62.js";import"./chunk-POTZVIIK.js";import"./chunk-OOJM4CTU.js";export{r as RailroadModule,o as createRailroadServices};
