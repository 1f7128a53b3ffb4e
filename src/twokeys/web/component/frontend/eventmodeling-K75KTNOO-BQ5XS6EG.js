import{a as e,b as o}from"./chunk-CQU36FZX.js";import"./chunk-POTZVIIK.js";import"./chunk-OOJM4CTU.js";export{e as EventModelingModule,o as createEventModelingServices};
