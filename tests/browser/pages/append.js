// Gives a media element a whole film, without a player.
export async function append(video, media, options) {
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await new Promise((opened) => source.addEventListener("sourceopen", opened, { once: true }));
  const [picture, sound] = options.codecs === "vp9" ? ["vp09.00.11.08", "opus"] : ["avc1.64000d", "mp4a.40.2"];
  const tracks = [["sd.mp4", `video/mp4; codecs="${picture}"`], ["audio.mp4", `audio/mp4; codecs="${sound}"`]];
  const buffers = tracks.map(([file, type]) => [file, source.addSourceBuffer(type)]);
  for (const [file, buffer] of buffers) {
    buffer.appendBuffer(await (await fetch(`${media}/${file}`)).arrayBuffer());
    await new Promise((done) => buffer.addEventListener("updateend", done, { once: true }));
  }
}
