import{a as e,b as r}from"./chunk-7K535BRO.js";import"./chunk-POTZVIIK.js";import"./chunk-OOJM4CTU.js";export{e as TreeViewModule,r as createTreeViewServices};
