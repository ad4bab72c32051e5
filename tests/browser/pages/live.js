// No player, and a film that comes in segments as a live stream does: never more than some seconds ahead.
import { attachEme } from "/web/reelkey.js";

const AHEAD = 4, SEGMENT = 2.5;
const TRACKS = [["sd", 'video/mp4; codecs="avc1.64000d"'], ["audio", 'audio/mp4; codecs="mp4a.40.2"']];

export async function play({ client, video, media }) {
  attachEme(video, client);
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await new Promise((opened) => source.addEventListener("sourceopen", opened, { once: true }));
  const buffers = TRACKS.map(([name, type]) => [name, source.addSourceBuffer(type)]);
  /** Whether there was such a part of each track. */
  const append = async (part) => {
    for (const [name, buffer] of buffers) {
      const response = await fetch(`${media}/${name}-${part}`);
      if (!response.ok) return false;
      buffer.appendBuffer(await response.arrayBuffer());
      await new Promise((done) => buffer.addEventListener("updateend", done, { once: true }));
    }
    return true;
  };
  await append("init.mp4");
  const stream = async () => {
    for (let number = 1; await append(`${number}.m4s`); number++) {
      while (video.currentTime + AHEAD < number * SEGMENT) await new Promise((done) => setTimeout(done, 50));
    }
    source.endOfStream();
  };
  stream();
}
