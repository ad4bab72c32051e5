// No player: Media Source Extensions, and attachEme for the keys.
import { attachEme } from "/web/reelkey.js";

export async function play({ client, video, media }) {
  attachEme(video, client);
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await new Promise((opened) => source.addEventListener("sourceopen", opened, { once: true }));
  const tracks = [["sd.mp4", 'video/mp4; codecs="avc1.64000d"'], ["audio.mp4", 'audio/mp4; codecs="mp4a.40.2"']];
  const buffers = tracks.map(([file, type]) => [file, source.addSourceBuffer(type)]);
  for (const [file, buffer] of buffers) {
    buffer.appendBuffer(await (await fetch(`${media}/${file}`)).arrayBuffer());
    await new Promise((done) => buffer.addEventListener("updateend", done, { once: true }));
  }
}
