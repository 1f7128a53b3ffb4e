import{a as e,b as r}from"./chunk-SWLRTXCQ.js";import"./chunk-POTZVIIK.js";import"./chunk-OOJM4CTU.js";export{e as PieModule,r as createPieServices};
