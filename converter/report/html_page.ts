import { escapeMarkup } from '../../ir/text/escape_markup.ts';

const STYLE = `
:root{color-scheme:light dark;--text:#1f2328;--back:#fff;--line:#d0d7de;--soft:#f6f8fa;--good:#116329;--bad:#b3261e;--dim:#59636e}
@media (prefers-color-scheme:dark){:root{--text:#d1d7e0;--back:#0d1117;--line:#3d444d;--soft:#161b22;--good:#57d27a;--bad:#ff8a80;--dim:#9198a1}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem;max-width:100rem;font:16px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back);overflow-wrap:anywhere}
h1{font-size:1.6rem}h2{font-size:1.25rem;margin-top:2.5rem}
.scroll{overflow-x:auto;overflow-wrap:normal;margin:1rem 0}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:.3rem 0;font-weight:600}
caption span{display:inline-block;position:sticky;left:0;max-width:calc(100vw - 3rem);white-space:normal;overflow-wrap:anywhere}
th,td{border-bottom:1px solid var(--line);padding:.3rem .7rem;text-align:left;vertical-align:top}
thead th{background:var(--soft)}th,td{white-space:nowrap}td.text{white-space:normal;min-width:24rem}
.met{color:var(--good)}.missed{color:var(--bad);font-weight:600}.dim{color:var(--dim)}
@media (max-width:60rem){
table,tbody,caption{display:block}thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tr{display:flex;flex-wrap:wrap;gap:0 1rem;border-bottom:1px solid var(--line);padding:.5rem 0}
th,td,td.text{display:block;border:0;padding:0;white-space:normal;min-width:0;overflow-wrap:anywhere}
tbody th{flex:1 0 100%}td:empty{display:none}
td::before{content:attr(data-title) ': ';color:var(--dim);font-weight:400}
}
figure{margin:1rem 0}figure svg{max-width:100%;height:auto}figcaption,dd,p,li{max-width:60rem}dt{font-weight:600}
`;

/** One page that needs nothing else: its style is inside, without scripts. `style` comes behind the common one. */
export function htmlPage(title: string, sections: readonly string[], style = ''): string {
  return `<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeMarkup(title)}</title><style>${STYLE}${style}</style></head><body><main>\n${sections.filter((s) => s !== '').join('\n')}\n</main></body></html>\n`;
}
