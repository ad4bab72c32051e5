// No player: Media Source Extensions, which get the film a few seconds ahead, and attachEme for the keys of each period.
import { attachEme } from "/web/reelkey.js";

/** Splits a film before each of its fragments. */
function split(bytes) {
  const cuts = [0];
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += view.getUint32(at)) {
    if (String.fromCharCode(...bytes.subarray(at + 4, at + 8)) === "moof") cuts.push(at);
  }
  return cuts.map((from, index) => bytes.subarray(from, cuts[index + 1]));
}

export async function play({ client, video, media, options }) {
  attachEme(video, client);
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await new Promise((opened) => source.addEventListener("sourceopen", opened, { once: true }));
  const tracks = [["hd.mp4", 'video/mp4; codecs="avc1.64001e"'], ["audio.mp4", 'audio/mp4; codecs="mp4a.40.2"']];
  const buffers = tracks.map(([file, type]) => [file, source.addSourceBuffer(type)]);
  for (const [file, buffer] of buffers) {
    const parts = split(new Uint8Array(await (await fetch(`${media}/${file}`)).arrayBuffer()));
    const more = () => {
      const end = buffer.buffered.length ? buffer.buffered.end(0) : 0;
      if (!parts.length || buffer.updating || end > video.currentTime + Number(options.ahead)) return;
      buffer.appendBuffer(parts.shift());
    };
    buffer.addEventListener("updateend", more);
    video.addEventListener("timeupdate", more);
    more();
  }
}
