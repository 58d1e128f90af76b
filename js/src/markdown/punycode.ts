/** In the place of `punycode.js`: the browser's URL does this, see `safeAddress`. */
const asItIs = (host: string) => host;

export default { toASCII: asItIs, toUnicode: asItIs };
