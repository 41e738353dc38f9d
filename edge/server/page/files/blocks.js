// Cut Markdown into blocks. In: text, also half of one. Out: plain objects, which markdown.js turns into elements.

const MAX_DEPTH = 12; // deeper quotes and lists are shown as they are written
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])(\s+|$)/;
const DELIMITERS = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const BARE_JSON = /^\s*(\{\s*"|\[\s*\{)/;

/** Cut text into blocks: {kind, source, ...}; equal sources of one kind look the same. */
export function parseBlocks(text, depth = 0) {
  const lines = text.split("\n");
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const [block, next] = readBlock(lines, at, depth);
    block.source = lines.slice(at, next).join("\n");
    blocks.push(block);
    at = next;
  }
  return blocks;
}

function readBlock(lines, at, depth) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (fence) return readFence(lines, at, fence);
  const heading = HEADING.exec(line);
  if (heading) return [{ kind: "heading", level: heading[1].length, text: heading[2] }, at + 1];
  if (RULE.test(line)) return [{ kind: "rule" }, at + 1];
  if (QUOTE.test(line) && depth < MAX_DEPTH) return readQuote(lines, at, depth);
  if (ITEM.test(line) && depth < MAX_DEPTH) return readList(lines, at, depth);
  if (isTable(lines, at)) return readTable(lines, at);
  return readParagraph(lines, at);
}

function readFence(lines, at, fence) {
  let end = at + 1;
  const isEnd = (line) => line.trim().startsWith(fence[1]) && !line.trim().replaceAll(fence[1][0], "");
  while (end < lines.length && !isEnd(lines[end])) end += 1;
  const text = lines.slice(at + 1, end).join("\n");
  return [{ kind: "code", language: fence[2], text }, Math.min(end + 1, lines.length)];
}

function readQuote(lines, at, depth) {
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  const inner = lines.slice(at, end).map((line) => line.replace(QUOTE, ""));
  return [{ kind: "quote", blocks: parseBlocks(inner.join("\n"), depth + 1) }, end];
}

function readList(lines, at, depth) {
  const first = ITEM.exec(lines[at]);
  const isOrdered = /\d/.test(first[2]);
  const items = [];
  let end = at;
  while (end < lines.length) {
    const item = ITEM.exec(lines[end]);
    if (!item || item[1].length > first[1].length + 1) break;
    if (/\d/.test(item[2]) !== isOrdered || RULE.test(lines[end])) break;
    const width = item[1].length + item[2].length + Math.max(1, Math.min(item[3].length, 4));
    const inner = [lines[end].slice(item[0].length)];
    end += 1;
    while (end < lines.length && belongsToItem(lines, end, item[1].length)) {
      const indent = lines[end].length - lines[end].trimStart().length;
      inner.push(lines[end].slice(Math.min(indent, width)));
      end += 1;
    }
    items.push(parseBlocks(inner.join("\n"), depth + 1));
    while (end < lines.length && !lines[end].trim() && ITEM.test(lines[end + 1] ?? "")) end += 1;
  }
  return [{ kind: "list", isOrdered, start: isOrdered ? parseInt(first[2], 10) : 1, items }, end];
}

function belongsToItem(lines, at, indent) {
  const line = lines[at];
  if (!line.trim()) return /^\s{2,}\S/.test(lines[at + 1] ?? "") && !startsBlockAt(lines[at + 1], indent);
  if (/^\s/.test(line) && line.length - line.trimStart().length > indent) return true;
  return !startsBlock(line) && Boolean(lines[at - 1].trim());
}

function startsBlockAt(line, indent) {
  return line.length - line.trimStart().length <= indent;
}

function startsBlock(line) {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);
}

function isTable(lines, at) {
  const next = lines[at + 1] ?? "";
  return lines[at].includes("|") && next.includes("-") && next.includes("|") && DELIMITERS.test(next);
}

function readTable(lines, at) {
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|") && lines[end].trim()) end += 1;
  const head = cells(lines[at]);
  const rows = lines.slice(at + 2, end).map((line) => head.map((_, place) => cells(line)[place] ?? ""));
  return [{ kind: "table", head, rows }, end];
}

function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function readParagraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !startsBlock(lines[end]) && !isTable(lines, end)) end += 1;
  const text = lines.slice(at, end).join("\n");
  if (BARE_JSON.test(text)) return [{ kind: "code", language: "json", text }, end];
  return [{ kind: "paragraph", text }, end];
}
