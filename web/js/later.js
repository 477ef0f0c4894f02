// Work that is asked for often and done once in a while.

/** Calls `work` before the next picture, however often it is asked for until then. */
export function nextFrame(work) {
  let asked = 0;
  const ask = () => {
    if (asked) return;
    asked = requestAnimationFrame(() => {
      asked = 0;
      work();
    });
  };
  ask.stop = () => {
    cancelAnimationFrame(asked);
    asked = 0;
  };
  return ask;
}

/** Calls `work` at most once in `pause` milliseconds, one at a time, and once more where it was asked for meanwhile. */
export function later(work, pause) {
  let timer = null;
  let running = false;
  let wanted = false;
  const run = async () => {
    timer = null;
    running = true;
    wanted = false;
    try {
      await work();
    } catch {
      // The next event brings another try; a connection that is lost shows in the bar.
    }
    running = false;
    if (wanted) ask();
  };
  const ask = () => {
    wanted = true;
    if (!timer && !running) timer = setTimeout(run, pause);
  };
  ask.stop = () => {
    clearTimeout(timer);
    wanted = false;
  };
  return ask;
}
