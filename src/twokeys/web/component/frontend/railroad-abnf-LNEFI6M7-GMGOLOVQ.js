import{a as r,b as o}from"./chunk-SIFTOX3Z.js";import"./chunk-POTZVIIK.js";import"./chunk-OOJM4CTU.js";export{r as RailroadAbnfModule,o as createRailroadAbnfServices};
