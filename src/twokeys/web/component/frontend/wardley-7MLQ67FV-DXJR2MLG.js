import{a as e,b as r}from"./chunk-BFALUAYC.js";import"./chunk-POTZVIIK.js";import"./chunk-OOJM4CTU.js";export{e as WardleyModule,r as createWardleyServices};
