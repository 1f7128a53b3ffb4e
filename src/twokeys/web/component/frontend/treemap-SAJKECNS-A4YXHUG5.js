import{a as e,b as r}from"./chunk-UTBQ2LUF.js";import"./chunk-POTZVIIK.js";import"./chunk-OOJM4CTU.js";export{e as TreemapModule,r as createTreemapServices};
