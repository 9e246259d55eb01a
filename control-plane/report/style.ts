import { createHash } from 'node:crypto';

/**
 * The one style of all pages for people. No `style` attributes anywhere: the policy below names this text by its hash,
 * so that a page can show nothing that was not written here. Colours: Okabe and Ito's, told apart by the colour-blind.
 */
export const STYLE = `
:root{color-scheme:light dark;--bg:#fff;--soft:#f4f5f7;--line:#d9dce1;--text:#1b1f24;--dim:#59626d;--ref:#7b8794;
--reff:#c3cad3;--cur:#c2410c;--cur2:#0b62a8;--alert:#b3261e;--alertb:#fde7e5;--watch:#7a4d00;--watchb:#fdf0d5;
--ok:#1a6b3c;--okb:#e2f4e8;--none:#4a5260;--noneb:#e9ebef}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--soft:#1d2127;--line:#353b44;--text:#e8eaed;--dim:#a3acb8;
--ref:#8f9aa8;--reff:#444d59;--cur:#ff9d5c;--cur2:#6cb8f5;--alert:#ffb3ab;--alertb:#4d1512;--watch:#ffd27d;--watchb:#41300a;
--ok:#8fe0ae;--okb:#12351f;--none:#c3cad3;--noneb:#2c323a}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
font-variant-numeric:tabular-nums;overflow-wrap:break-word}
main,header,footer,nav{max-width:1120px;margin:0 auto;padding:0 20px}
header{padding-top:28px}
h1{font-size:1.7rem;line-height:1.2;margin:0}
h2{font-size:1.25rem;margin:44px 0 8px;padding-top:12px;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:22px 0 6px}
p{margin:6px 0 12px;max-width:78ch}
.dim,small{color:var(--dim)}
small{font-size:.82rem}
a{color:inherit}
bdi,td,th,dd{overflow-wrap:anywhere}
.chip{display:inline-block;padding:1px 9px;border-radius:10px;font-size:.78rem;font-weight:600;white-space:nowrap;
color:var(--none);background:var(--noneb);border:1px solid transparent}
.alert{color:var(--alert);background:var(--alertb)}.watch{color:var(--watch);background:var(--watchb)}
.ok{color:var(--ok);background:var(--okb)}
.verdict{margin:18px 0;padding:16px 20px;border-radius:8px;border-left:6px solid currentColor;background:var(--soft)}
.verdict.alert{color:var(--alert);background:var(--alertb)}.verdict.watch{color:var(--watch);background:var(--watchb)}
.verdict.ok{color:var(--ok);background:var(--okb)}.verdict.insufficient{color:var(--none);background:var(--noneb)}
.verdict p{margin:4px 0 0;color:var(--text)}.verdict strong{font-size:1.15rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:12px;margin:16px 0;padding:0;list-style:none}
.tile{border:1px solid var(--line);border-radius:8px;padding:12px 16px}
.tile b{display:flex;justify-content:space-between;gap:8px;align-items:center}.tile p{margin:6px 0 0;font-size:.92rem}
.tile a{text-decoration:none}.tile a:hover{text-decoration:underline}
dl.facts{display:flex;flex-wrap:wrap;gap:10px 32px;margin:14px 0}dl.facts div{min-width:110px}
dl.facts dt{color:var(--dim);font-size:.82rem}dl.facts dd{margin:0;font-weight:600}
.scroll{overflow-x:auto;margin:8px 0 14px}
table{border-collapse:collapse;width:100%;font-size:.88rem}
caption{text-align:left;color:var(--dim);padding:4px 0}
th,td{padding:5px 14px 5px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
thead th{color:var(--dim);font-weight:600;white-space:nowrap}tbody th{font-weight:600;min-width:170px}
td.dim{min-width:190px}td.n,th.n{text-align:right;white-space:nowrap}td.s{white-space:nowrap}
td.plot{width:38%;min-width:150px;vertical-align:middle}
details.feature{border:1px solid var(--line);border-radius:8px;margin:8px 0}
details.feature>summary{display:grid;grid-template-columns:136px minmax(0,1.4fr) minmax(0,1fr) minmax(0,1.2fr) 130px;gap:14px;
align-items:center;padding:8px 14px;cursor:pointer;list-style:none}
details.feature>summary::-webkit-details-marker{display:none}
details.feature>summary:hover{background:var(--soft)}summary:focus-visible,a:focus-visible,.scroll:focus-visible{outline:2px solid var(--cur2);outline-offset:2px}
details.feature[open]>summary{border-bottom:1px solid var(--line)}
summary .chip{justify-self:start}main header{padding:28px 0 0}summary .name{font-weight:600}summary .name small{font-weight:400;display:block}
.body{padding:6px 16px 16px}
.two{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:8px 36px}
figure{margin:12px 0}figcaption{font-size:.88rem;font-weight:600;margin-bottom:4px}
.legend{font-size:.82rem;color:var(--dim);margin:4px 0 0}.legend span{margin-right:14px;white-space:nowrap}
.key{display:inline-block;width:14px;height:10px;margin-right:5px}
.key .cur,.key .cur2{stroke-width:3}
.chart{display:grid;grid-template-columns:auto minmax(0,1fr);column-gap:8px}
.y{display:flex;flex-direction:column;justify-content:space-between;text-align:right}
.x{grid-column:2;display:flex;justify-content:space-between;gap:10px}
.y,.x{font-size:.75rem;color:var(--dim);line-height:1.1}.x{padding-top:4px}
svg{display:block;overflow:visible}svg.big{width:100%;height:150px;border-bottom:1px solid var(--ref)}
svg.row{width:100%;height:20px}svg.mini{width:100%;height:30px}svg.key{display:inline-block}
svg path,svg line{vector-effect:non-scaling-stroke}
.ref{fill:var(--reff);stroke:none}.cur,.cur2{fill:none;stroke:var(--cur);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.cur2{stroke:var(--cur2);stroke-dasharray:5 4}.curf{fill:var(--cur)}.band{fill:var(--cur);opacity:.18}
.refl{stroke:var(--ref);stroke-width:2;stroke-dasharray:2 4;fill:none}
.grid{stroke:var(--line);stroke-width:1}.limit{stroke:var(--dim);stroke-width:1;stroke-dasharray:4 4}
.whisker{stroke:var(--cur);stroke-width:2;fill:none}.dot{stroke:var(--cur);stroke-width:9;stroke-linecap:round;fill:none}
.hit{fill:transparent}.hit:hover{fill:var(--ref);opacity:.25}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.82rem;background:var(--soft);padding:12px;border-radius:8px}
footer{margin-top:48px;padding-top:16px;padding-bottom:40px;color:var(--dim);font-size:.85rem;border-top:1px solid var(--line)}
@media (max-width:720px){body{font-size:14px}main,header,footer,nav{padding-left:14px;padding-right:14px}
details.feature>summary{grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:4px 14px}summary .chip,summary .name,summary .size{grid-column:1/-1}
summary .name small{display:inline}td.dim{min-width:260px}
.two{grid-template-columns:minmax(0,1fr)}svg.big{height:120px}.tiles{grid-template-columns:minmax(0,1fr)}th,td{padding-right:10px}tbody th{min-width:120px}}
@media print{body{font-size:11px}main,header,footer{max-width:none}details.feature,figure,.tile,tr{break-inside:avoid}
h2,h3{break-after:avoid}.chip{border-color:currentColor}details::details-content{content-visibility:visible;display:block}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
`;

/** Nothing is loaded, run, sent or framed; the page's own style is all that it may use. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'`;
