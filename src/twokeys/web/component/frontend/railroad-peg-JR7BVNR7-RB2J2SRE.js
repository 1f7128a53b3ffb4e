import{a as e,b as r}from"./chunk-5IUM6GUZ.js";import"./chunk-POTZVIIK.js";import"./chunk-OOJM4CTU.js";export{e as RailroadPegModule,r as createRailroadPegServices};
