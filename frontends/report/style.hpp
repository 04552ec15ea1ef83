#pragma once

#include <string_view>

namespace lariat::reports {

/// The style sheet of report.html. Pictures refer to colours by these variables only.
inline constexpr std::string_view report_style = R"css(
:root { color-scheme: light dark;
  --paper: #fbfaf8; --card: #ffffff; --ink: #1d2127; --soft: #5d6570; --rule: #e3e1dc;
  --series-1: #2867c4; --series-2: #c2540c; --series-3: #0d7d6c; --series-4: #8a3fb0; --series-5: #6b7280;
  --series-6: #c0264a; --series-7: #1c86a8; --series-8: #9a7400; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171b; --card: #1c2026; --ink: #e8eaed; --soft: #a0a8b3; --rule: #30363e;
  --series-1: #78aefc; --series-2: #f2985a; --series-3: #57c7b2; --series-4: #cf9bf0; --series-5: #a3acb8;
  --series-6: #ff8fa5; --series-7: #6fd0ee; --series-8: #e0be4d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { overflow-wrap: anywhere; font-size: 1.7rem; line-height: 1.25; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 1.1rem; margin: 40px 0 4px; }
h3 { font-size: 1rem; margin: 20px 0 4px; overflow-wrap: anywhere; }
p { margin: 0 0 12px; overflow-wrap: anywhere; }
.soft, figcaption, .caption { color: var(--soft); font-size: 0.9rem; }
.figures { display: grid; grid-template-columns: repeat(var(--columns), minmax(0, 1fr)); gap: 12px; margin: 24px 0 8px; }
@media (max-width: 900px) { .figures { grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); } }
.figure { min-width: 0; overflow-wrap: anywhere; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 12px 14px; }
.figure b { display: block; font-size: 1.5rem; line-height: 1.3; font-weight: 650; font-variant-numeric: tabular-nums; }
.figure span { display: block; color: var(--soft); font-size: 0.82rem; line-height: 1.35; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 16px; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 16px; margin: 0; min-width: 0; }
.pair > section > h2 { margin-top: 28px; overflow-wrap: anywhere; }
.card > .caption { margin: 8px 0 0; }
svg { display: block; width: 100%; max-width: 760px; height: auto; margin: 0 auto; }
svg text { font-size: 13px; fill: var(--ink); font-family: inherit; }
svg .tick, svg .unit { fill: var(--soft); font-variant-numeric: tabular-nums; }
svg .grid { stroke: var(--rule); }
svg .axis { stroke: var(--soft); }
svg .line { fill: none; stroke: currentColor; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
svg .dashed { stroke-dasharray: 5 4; }
svg .error { stroke: currentColor; stroke-width: 1.4; }
svg .dot { fill: currentColor; fill-opacity: 0.45; }
svg .point { fill: currentColor; fill-opacity: 0; }
svg .point:hover { fill-opacity: 0.9; }
svg .swatch, svg .cell { fill: currentColor; }
svg .inverse { fill: var(--card); }
.series-1 { color: var(--series-1); } .series-2 { color: var(--series-2); } .series-3 { color: var(--series-3); }
.series-4 { color: var(--series-4); } .series-5 { color: var(--series-5); } .series-6 { color: var(--series-6); }
.series-7 { color: var(--series-7); } .series-8 { color: var(--series-8); }
.confusion { margin: 0 auto; }
.weight { margin: 0 0 18px; }
.weight:last-child { margin: 0; }
.weight figcaption { display: flex; flex-wrap: wrap; gap: 0 10px; align-items: baseline; margin-bottom: 4px; }
.weight b { overflow-wrap: anywhere; min-width: 0; color: var(--ink); font-weight: 600; }
.weight span { margin-left: auto; font-variant-numeric: tabular-nums; }
.weight img { display: block; width: 100%; height: auto; image-rendering: pixelated;
  border: 1px solid var(--rule); border-radius: 4px; background: var(--paper); }
.blocks { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; font-size: 0.82rem; color: var(--soft);
  margin-bottom: 3px; }
.blocks span { margin: 0; overflow: hidden; text-overflow: ellipsis; text-align: center; }
.blocks i { font-style: normal; font-variant-numeric: tabular-nums; color: var(--ink); }
.blocks.down { grid-auto-flow: row; }
.blocks.down span { text-align: left; }
.blocks.down span::before { content: "↓ "; }
.divided { position: relative; }
.divided > i { position: absolute; top: 0; bottom: 0; width: 0; border-left: 1px dashed var(--ink); opacity: 0.7; }
.divided.down > i { left: 0; right: 0; bottom: auto; width: auto; border-left: 0; border-top: 1px dashed var(--ink); }
.examples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 220px), 1fr)); gap: 12px; }
.example { min-width: 0; overflow-wrap: anywhere; font-size: 0.88rem; border: 1px solid var(--rule); border-radius: 8px;
  padding: 10px; }
.example img { width: 84px; height: 84px; image-rendering: pixelated; display: block; margin-bottom: 6px;
  border: 1px solid var(--rule); }
.example audio { width: 100%; height: 34px; margin-bottom: 6px; }
.example .source { color: var(--soft); font-size: 0.8rem; }
td:first-child, th:first-child { text-align: left; }
td { overflow-wrap: break-word; }
.key { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 2px; background: currentColor; vertical-align: -0.05em; }
.key.open { background: var(--paper); border: 1px solid var(--soft); }
.scroll { overflow-x: auto; }
.scroll + .scroll { margin-top: 14px; }
pre { margin: 0; font: 13px/1.5 ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; }
table { border-collapse: collapse; font-size: 0.88rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { text-align: right; padding: 3px 10px; border-bottom: 1px solid var(--rule); }
th { color: var(--soft); font-weight: 500; }
details { margin-top: 12px; }
summary { cursor: pointer; color: var(--soft); }
ul { margin: 0; padding-left: 20px; }
li { overflow-wrap: anywhere; }
footer { margin-top: 48px; color: var(--soft); font-size: 0.85rem; }
@media (max-width: 600px) { th, td { padding: 3px 4px; } table { font-size: 0.8rem; } .card { padding: 10px; }
  main { padding: 20px 12px 48px; } }
@media print { body { background: #fff; } .card, .figure { break-inside: avoid; } }
)css";

}  // namespace lariat::reports
