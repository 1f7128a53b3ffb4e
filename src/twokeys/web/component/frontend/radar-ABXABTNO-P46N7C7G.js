import{a as r,b as e}from"./chunk-6YOVNOGA.js";import"./chunk-POTZVIIK.js";import"./chunk-OOJM4CTU.js";export{r as RadarModule,e as createRadarServices};
