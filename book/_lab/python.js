// Python in the page: Pyodide in a worker, loaded when it is first asked for. Nothing is fetched or sent: the script that
// companion/lab/pyodide.py packed brings it, and blobs stand in for its files. Stopping it ends the worker.
"use strict";
(() => {
  const home = document.currentScript.src.replace(/[^/]*$/, "");
  let worker = null, giveUp = null, line = Promise.resolve(), stops = 0;

  // Runs in the worker. Chromium starts no module worker from a blob on disk, and Pyodide refuses a classic one unless
  // importScripts fails.
  const work = () => {
    self.importScripts = () => { throw new TypeError("a module"); };
    const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    const opened = async (text) => new Response(new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
    const address = (content, type) => URL.createObjectURL(new Blob([content], { type }));
    const start = async ({ parts, sources }) => {
      const wasm = address(await opened(parts.wasm), "application/wasm"), library = address(bytes(parts.library), "application/zip");
      const { default: createPyodideModule } = await import(address(await opened(parts.factory), "text/javascript"));
      const { loadPyodide } = await import(address(await opened(parts.loader), "text/javascript"));
      const fetched = self.fetch;
      self.fetch = (from, ...how) => fetched(String(from).endsWith(".wasm") ? wasm : String(from).endsWith(".zip") ? library : from, ...how);
      const lockFileContents = { info: parts.lock, packages: {} };
      const python = await loadPyodide({ indexURL: "https://nowhere.invalid/", createPyodideModule, lockFileContents, stdLibURL: library });
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
          self.postMessage({ ready: true });
        } else {
          python.globals.set("given", JSON.stringify(data));
          self.postMessage({ found: JSON.parse(python.runPython("json.dumps(checking.run(**json.loads(given)))")) });
        }
      } catch (error) { self.postMessage({ failed: String(error.message ?? error) }); }
    };
  };

  const loaded = () => new Promise((done, fail) => {
    if (LAB.pyodide) return done();
    const script = document.createElement("script");
    Object.assign(script, { src: `${home}pyodide.js`, onload: done, onerror: () => fail(new Error("pyodide.js is not in this book.")) });
    document.head.append(script);
  });

  const answered = (message) => new Promise((done, fail) => {
    giveUp = fail;
    worker.onmessage = ({ data }) => (data.failed ? fail(new Error(data.failed)) : done(data));
    worker.onerror = (event) => fail(new Error(event.message));
    worker.postMessage(message);
  });

  LAB.stopPython = (why = "It was stopped.") => {
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

  async function run(code, checks, say) {
    if (!worker) {
      const before = stops;
      say("Python starts: 3 to 10 seconds, 8 MB out of this book. Nothing is sent anywhere.");
      await loaded();
      if (stops > before) throw new Error("It was stopped.");
      worker = new Worker(URL.createObjectURL(new Blob([`(${work})()`], { type: "text/javascript" })));
      try {
        await answered({ boot: { parts: LAB.pyodide, sources: LAB.python.sources } });
      } catch (error) {
        LAB.stopPython();
        throw error;
      }
    }
    say("running …");
    const late = setTimeout(() => LAB.stopPython(`It was stopped after ${LAB.python.limit} seconds: does a loop never end?`), 1000 * LAB.python.limit);
    try {
      return (await answered({ code, checks })).found;
    } catch (error) {
      LAB.stopPython(); // the next answer finds a new one
      throw new Error(error.message.startsWith("It was") ? error.message : "Python itself ended. Run it again: it starts anew.");
    } finally {
      clearTimeout(late);
    }
  }
})();
