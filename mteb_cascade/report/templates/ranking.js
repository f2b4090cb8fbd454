// One ranking. Scores are float32 and ties go to the larger id, whose number is larger, as everywhere in mteb-cascade.
function total(sweep, cell, blend) {
  const score = sweep.score[cell];
  if (blend === 0 || score === -Infinity) return score;
  const before = sweep.before[cell];
  return before === -Infinity ? before : Math.fround(score + Math.fround(Math.fround(blend) * before));
}
function comesBefore(sweep, one, other, ones, others) {
  if (ones !== others) return ones > others;
  return ones === -Infinity ? one < other : sweep.document[one] > sweep.document[other];
}
// Cells of a query with their ranks from 0, best first; line "" is the received ranking.
function ranking(sweep, query, line, depth) {
  const start = sweep.starts[query], end = sweep.starts[query + 1], found = [];
  for (let cell = start; cell < end; cell++) found.push({ cell, rank: sweep.rank[cell] });
  if (line === "") return found;
  if (sweep.trimmed && depth === sweep.depth) {
    for (const one of found) one.rank = sweep.after[line][one.cell];
  } else {
    const blend = sweep.blends[line], head = found.filter((one) => one.rank < depth);
    for (const one of head) one.total = total(sweep, one.cell, blend);
    head.sort((a, b) => (comesBefore(sweep, a.cell, b.cell, a.total, b.total) ? -1 : 1));
    head.forEach((one, rank) => { one.rank = rank; });
  }
  return found.sort((a, b) => a.rank - b.rank);
}
// What became of rank 1, and how far the farthest phantom was lifted (NONE: there is none).
function judge(sweep, query, line, depth) {
  const start = sweep.starts[query], end = sweep.starts[query + 1], level = sweep.level;
  const stored = sweep.trimmed && depth === sweep.depth ? sweep.after[line] : null, blend = sweep.blends[line];
  let before = -1, top = -1, topTotal = 0, answer = -1, answerTotal = 0;
  for (let cell = start; cell < end && sweep.rank[cell] < sweep.depth; cell++) {
    if (sweep.rank[cell] >= depth) continue;
    const value = stored ? -stored[cell] : total(sweep, cell, blend);
    if (top < 0 || comesBefore(sweep, cell, top, value, topTotal)) { top = cell; topTotal = value; }
    if (sweep.grade[cell] >= level) {
      if (before < 0) before = cell;
      if (answer < 0 || comesBefore(sweep, cell, answer, value, answerTotal)) { answer = cell; answerTotal = value; }
    }
  }
  if (answer < 0) return { name: "unreachable", lifted: NONE };
  const first = sweep.rank[start] === 0 && sweep.grade[start] >= level;
  const after = sweep.grade[top] >= level;
  const name = first ? (after ? "kept" : "broken") : after ? "recovered" : "missed";
  let lifted = NONE;
  if (answer !== top) {
    const above = [];
    for (let cell = start; cell < end; cell++) {
      if (sweep.rank[cell] >= depth) continue;
      const value = stored ? -stored[cell] : total(sweep, cell, blend);
      if (comesBefore(sweep, cell, answer, value, answerTotal)) above.push([cell, value]);
    }
    for (const [cell, value] of above) {
      if (sweep.rank[cell] < sweep.rank[before]) continue;
      const rank = stored ? stored[cell] : above.reduce((count, [other, its]) => count + (comesBefore(sweep, other, cell, its, value) ? 1 : 0), 0);
      lifted = Math.max(lifted, sweep.rank[cell] - rank);
    }
  }
  return { name, lifted };
}
