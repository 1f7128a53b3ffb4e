import{a as o,b as m}from"./chunk-VTSGJUNM.js";import"./chunk-S3XBWYDG.js";import"./chunk-QP3MATMC.js";import"./chunk-NVNBR5YX.js";import"./chunk-434OFE4M.js";import"./chunk-KPALP2UP.js";import"./chunk-SNMBC6G5.js";import"./chunk-FPVSQ5KZ.js";import"./chunk-4CGTJ5CY.js";import"./chunk-4LXCV7P4.js";import"./chunk-BIJJB7TW.js";import"./chunk-CCF3RZTQ.js";import"./chunk-CIII2KL5.js";import"./chunk-HVVAQLXH.js";import"./chunk-6NDAIVIK.js";import"./chunk-OMJ32GDR.js";import"./chunk-OZLBR6OV.js";import"./chunk-WU3JAOWN.js";import"./chunk-RNTPN4DS.js";import"./chunk-QJJS65VC.js";import"./chunk-UY22K4Y4.js";import{a as r}from"./chunk-YUSHYV7C.js";import"./chunk-OOJM4CTU.js";var i=r(t=>`${o(t)}
  .swimlane.cluster:not([data-color-id]) rect {
    stroke: ${t.clusterBorder} !important;
  }
  [data-look="neo"].cluster rect {
    filter: none;
  }
`,"getStyles"),e=i,F=m({styles:e});export{F as diagram};
