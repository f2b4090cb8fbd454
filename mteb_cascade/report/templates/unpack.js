// Packed blocks.
async function unpack(script) {
  const binary = atob(script.textContent.trim());
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const whole = await new Response(stream).arrayBuffer();
  const size = new DataView(whole).getUint32(0, true);
  const task = JSON.parse(new TextDecoder().decode(new Uint8Array(whole, 4, size)));
  const starts = [4 + size];
  for (const length of task.arrays) starts.push(starts[starts.length - 1] + length);
  const planes = (number) => {
    const data = new Uint8Array(whole, starts[number], task.arrays[number]), count = data.length / 4;
    const found = new Uint8Array(data.length);
    for (let plane = 0; plane < 4; plane++)
      for (let at = 0; at < count; at++) found[4 * at + plane] = data[plane * count + at];
    return found.buffer;
  };
  const known = new Map();
  const array = (number, kind) => {
    const key = `${number} ${kind.name}`;
    if (!known.has(key)) known.set(key, new kind(planes(number)));
    return known.get(key);
  };
  const offsets = (lengths) => {
    const found = new Int32Array(lengths.length + 1);
    for (let at = 0; at < lengths.length; at++) found[at + 1] = found[at] + lengths[at];
    return found;
  };
  const { answers } = task;
  task.answers = { starts: offsets(array(answers.lengths, Int32Array)), document: array(answers.document, Int32Array), grade: array(answers.grade, Int32Array) };
  for (const sweep of task.sweeps) {
    sweep.starts = offsets(array(sweep.lengths, Int32Array));
    for (const name of ["rank", "document", "grade"]) sweep[name] = array(sweep[name], Int32Array);
    for (const name of ["before", "score"]) sweep[name] = array(sweep[name], Float32Array);
    for (const line of Object.keys(sweep.after)) sweep.after[line] = array(sweep.after[line], Int32Array);
    sweep.trimmed = Object.keys(sweep.after).length > 0;
  }
  return task;
}
