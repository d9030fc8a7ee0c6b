// Python in the page: Pyodide in a worker, loaded when it is first asked for. Nothing is fetched or sent: the script
// that companion/lab/pyodide.py packed brings it, and blobs stand in for its files. Stopping it ends the worker.
"use strict";
(() => {
  const STOPPED = "It was stopped.";
  let worker = null, giveUp = null, line = Promise.resolve(), stops = 0;

  // Runs in the worker. Chromium starts no module worker from a blob on disk, and Pyodide refuses a classic one unless
  // importScripts fails.
  const work = () => {
    self.importScripts = () => { throw new TypeError("a module"); };
    const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    const address = (content, type) => URL.createObjectURL(new Blob([content], { type }));
    const opened = async (text, type) => {
      const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
      return address(await new Response(stream).arrayBuffer(), type);
    };
    const start = async ({ parts, sources }) => {
      const wasm = await opened(parts.wasm, "application/wasm");
      const stdLibURL = address(bytes(parts.library), "application/zip");
      const { default: createPyodideModule } = await import(await opened(parts.factory, "text/javascript"));
      const { loadPyodide } = await import(await opened(parts.loader, "text/javascript"));
      const fetched = self.fetch;
      self.fetch = (from, ...how) => fetched({ wasm, zip: stdLibURL }[String(from).split(".").at(-1)] ?? from, ...how);
      const lockFileContents = { info: parts.lock, packages: {} };
      const python = await loadPyodide(
        { indexURL: "https://nowhere.invalid/", createPyodideModule, lockFileContents, stdLibURL });
      for (const [place, text] of Object.entries(sources)) {
        python.FS.mkdirTree(`/given/${place}`.replace(/\/[^/]*$/, ""));
        python.FS.writeFile(`/given/${place}`, text);
      }
      python.runPython("import json, sys; sys.path.insert(0, '/given'); import checking");
      return python;
    };
    let python = null;
    self.onmessage = async ({ data }) => {
      try {
        if (data.boot) {
          python = await start(data.boot);
          return self.postMessage({ ready: true });
        }
        python.globals.set("given", JSON.stringify(data));
        self.postMessage({ found: JSON.parse(python.runPython("json.dumps(checking.run(**json.loads(given)))")) });
      } catch (error) { self.postMessage({ failed: String(error.message ?? error) }); }
    };
  };

  const answered = (message) => new Promise((done, fail) => {
    giveUp = fail;
    worker.onmessage = ({ data }) => (data.failed ? fail(new Error(data.failed)) : done(data));
    worker.onerror = (event) => fail(new Error(event.message));
    worker.postMessage(message);
  });

  LAB.stopPython = (why = STOPPED) => {
    stops += 1;
    worker?.terminate();
    worker = null;
    giveUp?.(new Error(why));
  };

  // Code and its checks, as `checking.run`; `say` is told what is going on. One exercise waits for another.
  LAB.runPython = (code, checks, say) => {
    say("waiting for another exercise …");
    const turn = line.then(() => run(code, checks, say));
    line = turn.catch(() => {});
    return turn;
  };

  async function begun() {
    const before = stops, parts = await LAB.parts.loaded("pyodide");
    if (stops > before) throw new Error(STOPPED);
    worker = new Worker(URL.createObjectURL(new Blob([`(${work})()`], { type: "text/javascript" })));
    await answered({ boot: { parts, sources: LAB.python.sources } }).catch((error) => {
      LAB.stopPython();
      throw error;
    });
  }

  async function run(code, checks, say) {
    if (!worker) {
      say("Python starts: 3 to 10 seconds, 8 MB out of this book. Nothing is sent anywhere.");
      await begun();
    }
    say("running …");
    const { limit } = LAB.python, late = `It was stopped after ${limit} seconds: does a loop never end?`;
    const clock = setTimeout(() => LAB.stopPython(late), 1000 * limit);
    try {
      return (await answered({ code, checks })).found;
    } catch (error) {
      LAB.stopPython(); // the next answer finds a new one
      if (error.message.startsWith("It was")) throw error;
      throw new Error("Python itself ended. Run it again: it starts anew.");
    } finally {
      clearTimeout(clock);
    }
  }
})();
