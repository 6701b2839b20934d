// The timelines: one uPlot chart a clip, read by pointer, by touch and, through its slider, by keyboard.
(() => {
  "use strict";
  const TRACK_COLOURS = 8;
  const DASHES = [[], [8, 4], [2, 4]];
  const LEAST_APART = 5; // pixels between cuts, on average: closer, their lines would grey the chart
  const charts = [];

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const trackColour = (at) => `t${at % TRACK_COLOURS}`;
  const score = (value) => (value < 0.005 ? "<0.01" : value >= 0.995 ? ">0.99" : value.toFixed(2));

  function clock(seconds) {
    const tenths = Math.round(seconds * 10);
    const hours = Math.floor(tenths / 36000);
    const minutes = Math.floor(tenths / 600) % 60;
    const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
    return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
  }

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  class Timeline {
    constructor(spec, place) {
      this.spec = spec;
      this.place = place;
      this.plotPlace = place.querySelector(".plot");
      this.slider = place.querySelector("input[type=range]");
      this.readout = place.querySelector(".readout");
      this.zoomOut = place.querySelector("[data-zoom]");
      this.showing = -1;
      this.people = [...new Set(spec.tracks.map((track) => track.person))];
      this.joined = this.people.length < spec.tracks.length;
      this.plot = new uPlot(this.options(), [spec.times, ...spec.tracks.map((track) => track.scores)], this.plotPlace);
      for (const hidden of [this.slider.parentElement, this.readout, place.querySelector(".tools")]) hidden.hidden = false;
      if (this.people.length > 1) this.addChoices();
      this.slider.addEventListener("input", () => this.point(Number(this.slider.value)));
      this.slider.addEventListener("focus", () => this.point(Number(this.slider.value)));
      this.zoomOut.addEventListener("click", () => this.plot.setScale("x", this.whole()));
      new ResizeObserver(() => this.fit()).observe(this.plotPlace);
      this.show(this.mostSuspicious());
    }

    // One colour a person, over all cuts.
    personAt(at) {
      return this.people.indexOf(this.spec.tracks[at].person);
    }

    name(at) {
      const { id, person } = this.spec.tracks[at];
      return this.joined ? `track ${id} (person ${person})` : `track ${id}`;
    }

    whole() {
      return { min: Math.min(0, this.spec.times[0]), max: Math.max(this.spec.duration, this.spec.times.at(-1)) || 1 };
    }

    size() {
      return { width: Math.max(240, this.plotPlace.clientWidth), height: this.plotPlace.clientWidth < 480 ? 208 : 256 };
    }

    fit() {
      const { width, height } = this.size();
      if (this.plotPlace.clientWidth && (width !== this.plot.width || height !== this.plot.height)) this.plot.setSize({ width, height });
    }

    options() {
      const axis = { stroke: () => colour("--soft"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { stroke: () => colour("--line"), width: 1 } };
      return {
        ...this.size(),
        padding: [10, 64, 0, 0], // the thresholds' names stand at the right, where no line runs
        legend: { show: false },
        cursor: { y: false, drag: { x: true, y: false }, points: { size: 9 } },
        scales: {
          x: { time: false, range: (plot, low, high) => (low === this.spec.times[0] && high === this.spec.times.at(-1) ? Object.values(this.whole()) : [low, high]) },
          y: { range: [0, 1] },
        },
        axes: [
          { ...axis, values: (plot, splits) => splits.map(clock), space: 64 },
          { ...axis, values: (plot, splits) => splits.map((value) => value.toFixed(2).replace(/0$/, "")), size: 44 },
        ],
        series: [{}, ...this.spec.tracks.map((track, at) => ({
          label: this.name(at),
          stroke: () => colour(`--${trackColour(this.personAt(at))}`),
          width: 2,
          dash: DASHES[Math.floor(this.personAt(at) / TRACK_COLOURS) % DASHES.length],
          points: { size: 5 },
        }))],
        hooks: {
          drawClear: [(plot) => this.shade(plot)],
          drawAxes: [(plot) => this.cut(plot), (plot) => this.mark(plot)], // before the lines, which nothing may cover
          draw: [(plot) => this.square(plot), (plot) => this.ring(plot)],
          setCursor: [(plot) => this.follow(plot)],
          setScale: [(plot) => this.offerZoomOut(plot)],
        },
      };
    }

    shade(plot) {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.fillStyle = colour("--shade");
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      for (const [start, end] of this.spec.segments) {
        const left = plot.valToPos(start, "x", true);
        const width = Math.max(4 * uPlot.pxRatio, plot.valToPos(end, "x", true) - left);
        ctx.fillRect(left, bbox.top, width, bbox.height);
      }
      ctx.restore();
    }

    // A thin line where a new shot begins; in a clip of many, where a closer look gives them room.
    cut(plot) {
      const { ctx, bbox } = plot;
      const { min, max } = plot.scales.x;
      const cuts = this.spec.cuts.filter((time) => time >= min && time <= max);
      if (cuts.length * LEAST_APART * uPlot.pxRatio > bbox.width) return;
      const width = Math.max(1, Math.round(uPlot.pxRatio)); // of whole pixels: a thin line must not blur
      ctx.save();
      ctx.fillStyle = colour("--soft");
      for (const time of cuts) ctx.fillRect(Math.round(plot.valToPos(time, "x", true)), bbox.top, width, bbox.height);
      ctx.restore();
    }

    // Faces that were not judged: a hollow square at the chart's foot, where no score is.
    square(plot) {
      const { ctx, bbox } = plot;
      const { min, max } = plot.scales.x;
      const side = 6 * uPlot.pxRatio;
      ctx.save();
      ctx.lineWidth = 1.5 * uPlot.pxRatio;
      this.spec.tracks.forEach(({ unjudged }, at) => {
        if (!plot.series[at + 1].show) return;
        ctx.strokeStyle = colour(`--${trackColour(this.personAt(at))}`);
        for (const time of unjudged.map((row) => this.spec.times[row])) {
          if (time < min || time > max) continue;
          ctx.strokeRect(plot.valToPos(time, "x", true) - side / 2, bbox.top + bbox.height - 1.7 * side, side, side);
        }
      });
      ctx.restore();
    }

    mark(plot) {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.font = `${11 * uPlot.pxRatio}px system-ui, sans-serif`;
      ctx.textAlign = "left";
      const lines = [[this.spec.fake, "--fake", "FAKE ", "bottom"], [this.spec.real, "--real", "REAL ", "top"]];
      for (const [value, name, words, baseline] of lines) {
        const y = plot.valToPos(value, "y", true);
        ctx.strokeStyle = ctx.fillStyle = colour(name);
        ctx.lineWidth = 1.5 * uPlot.pxRatio;
        ctx.setLineDash([6 * uPlot.pxRatio, 4 * uPlot.pxRatio]);
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
        ctx.textBaseline = baseline;
        ctx.fillText(words + value.toFixed(2), bbox.left + bbox.width + 6 * uPlot.pxRatio, y + (baseline === "top" ? -4 : 4) * uPlot.pxRatio);
      }
      ctx.restore();
    }

    ring(plot) {
      const { ctx } = plot;
      ctx.save();
      const { min, max } = plot.scales.x;
      ctx.strokeStyle = colour("--ink");
      ctx.lineWidth = 1.5 * uPlot.pxRatio;
      for (const [, track, time, value] of this.spec.pictures) {
        const at = this.spec.tracks.findIndex((each) => each.id === track);
        if (at < 0 || !plot.series[at + 1].show || time < min || time > max) continue;
        ctx.beginPath();
        ctx.arc(plot.valToPos(time, "x", true), plot.valToPos(value, "y", true), 5.5 * uPlot.pxRatio, 0, 2 * Math.PI);
        ctx.stroke();
      }
      ctx.restore();
    }

    offerZoomOut(plot) {
      const { min, max } = this.whole();
      this.zoomOut.hidden = plot.scales.x.min <= min && plot.scales.x.max >= max;
    }

    follow(plot) {
      if (plot.cursor.idx === null || plot.cursor.left < 0) return;
      const { seen, times } = this.spec;
      const time = times[plot.cursor.idx];
      let nearest = 0;
      for (let at = 1; at < seen.length; at += 1) {
        if (Math.abs(times[seen[at]] - time) < Math.abs(times[seen[nearest]] - time)) nearest = at;
      }
      this.show(nearest);
    }

    // Puts the chart's cursor on a moment, which also shows it.
    point(moment) {
      const { times, seen } = this.spec;
      const row = seen[moment];
      this.show(moment);
      const highest = Math.max(...this.visible(row).map(({ value }) => value ?? 0), 0);
      this.plot.setCursor({ left: this.plot.valToPos(times[row], "x"), top: this.plot.valToPos(highest, "y") }, false);
    }

    // The faces of a moment by falling score, then those without one.
    visible(row) {
      const found = this.spec.tracks.map((track, at) => ({ track: track.id, at, value: track.scores[row] }));
      const seen = ({ at, value }) => typeof value === "number" || this.spec.tracks[at].unjudged.includes(row);
      return found.filter((face) => seen(face) && this.plot.series[face.at + 1].show).sort((a, b) => (b.value ?? -1) - (a.value ?? -1));
    }

    mostSuspicious() {
      const rows = this.spec.seen.map((row) => Math.max(...this.spec.tracks.map((track) => track.scores[row] ?? -1)));
      return rows.indexOf(Math.max(...rows));
    }

    words(value) {
      if (value === null) return "too small to judge";
      return value >= this.spec.fake ? "points to fake" : value <= this.spec.real ? "points to real" : "between the thresholds";
    }

    show(moment) {
      if (moment === this.showing) return;
      this.showing = moment;
      const row = this.spec.seen[moment];
      const time = this.spec.times[row];
      const faces = this.visible(row);
      const said = faces.map(({ at, value }) => `${this.name(at)}: ${value === null ? "" : `${score(value)}, `}${this.words(value)}`);
      this.slider.value = String(moment);
      this.slider.setAttribute("aria-valuetext", [clock(time), ...said].join("; "));
      const list = element("ul");
      for (const { at, value } of faces) {
        const line = element("li");
        line.append(element("span", `swatch ${trackColour(this.personAt(at))}`), element("span", "", this.name(at)), element("span", "score", value === null ? "—" : score(value)), element("span", "verdictword", this.words(value)));
        list.append(line);
      }
      this.readout.replaceChildren(element("p", "when", clock(time)), list, ...this.pictureFor(faces[0], time));
    }

    // The picture kept of this face, or the nearest in time of the same person.
    pictureFor(face, time) {
      const kept = this.spec.pictures.filter(([, track]) => face && track === face.track);
      if (!kept.length) return [];
      const [name, track, when, value] = kept.reduce((a, b) => (Math.abs(b[2] - time) < Math.abs(a[2] - time) ? b : a));
      const source = document.getElementById(name);
      const figure = element("figure");
      const image = element("img");
      image.src = source.src;
      image.alt = source.alt;
      const exact = Math.abs(when - time) < 0.002;
      figure.append(image, element("figcaption", "", exact ? `track ${track} at this moment` : `track ${track}, nearest picture kept: ${clock(when)}, ${score(value)}`));
      return [figure];
    }

    addChoices() {
      const tools = this.place.querySelector(".tools");
      this.people.forEach((person, place) => {
        const label = element("label", "choice");
        const box = element("input");
        box.type = "checkbox";
        box.checked = true;
        box.addEventListener("change", () => {
          this.spec.tracks.forEach((track, at) => {
            if (track.person === person) this.plot.setSeries(at + 1, { show: box.checked });
          });
          const moment = this.showing;
          this.showing = -1;
          this.show(moment);
        });
        label.append(box, element("span", `swatch ${trackColour(place)}`), document.createTextNode(`${this.joined ? "person" : "track"} ${person}`));
        tools.insertBefore(label, this.zoomOut);
      });
    }
  }

  // A chart in a closed section is drawn when its section opens: a folder may have hundreds.
  const waiting = new Map();
  function draw(place) {
    const spec = waiting.get(place);
    if (!spec || place.closest("details:not([open])")) return;
    waiting.delete(place);
    charts.push(new Timeline(spec, place));
  }
  for (const spec of JSON.parse(document.getElementById("charts").textContent)) {
    const place = document.getElementById(spec.name);
    waiting.set(place, spec);
    draw(place);
  }
  document.addEventListener("toggle", (event) => event.target.querySelectorAll?.(".timeline").forEach(draw), true);

  // Canvases keep their colours: they are drawn anew where the page changes its own.
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(query).addEventListener("change", () => charts.forEach(({ plot }) => plot.redraw(false)));
  }
})();
