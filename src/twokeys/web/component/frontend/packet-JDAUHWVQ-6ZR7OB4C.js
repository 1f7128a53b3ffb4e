import{a as e,b as r}from"./chunk-XOKK2ZEO.js";import"./chunk-POTZVIIK.js";import"./chunk-OOJM4CTU.js";export{e as PacketModule,r as createPacketServices};
