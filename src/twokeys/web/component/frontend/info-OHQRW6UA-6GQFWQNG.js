import{a as o,b as e}from"./chunk-JQPDLJZ2.js";import"./chunk-POTZVIIK.js";import"./chunk-OOJM4CTU.js";export{o as InfoModule,e as createInfoServices};
