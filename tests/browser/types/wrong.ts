// What the types have to refuse: each line that ends with `// wrong` is an error, and no other line is (types.mjs).
import { Client, findAuthzurl, openLicence } from "reelkey"; // wrong

new Client({ url: "https://drm.example" }); // wrong
new Client({ token: "token" }); // wrong
new Client({ url: "https://drm.example", token: "token", authzurl: "https://www.example/authorize" }); // wrong
new Client({ url: "https://drm.example", token: 7 }); // wrong
new Client({ url: "https://drm.example", authzurl: findAuthzurl("<MPD/>") }); // wrong
const client = new Client({ url: "https://drm.example", token: async () => "token" });
client.url = "https://other.example"; // wrong
client.license("message"); // wrong
client.addEventListener("refusal", ({ detail }) => detail.cause); // wrong
client.keepLicense(); // wrong
client.keepLicense("movies/bunny").then((kept) => kept.endsAt.toFixed() + kept.expires); // wrong
client.returnLicense(7); // wrong
