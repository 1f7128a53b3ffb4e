import{a as e,b as r}from"./chunk-NAX6WQXF.js";import"./chunk-POTZVIIK.js";import"./chunk-OOJM4CTU.js";export{e as CynefinModule,r as createCynefinServices};
