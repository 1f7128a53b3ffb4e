declare module "virtual:katex-faces" {
  const faces: { family: string; style: string; weight: string; file: string }[]
  export default faces
}
declare module "virtual:katex-css" {
  const css: string
  export default css
}
declare module "*.css" {
  const css: string
  export default css
}
