// SPDX-License-Identifier: BSD-3-Clause
// node.mjs VIP REQUESTS INTERVAL_MS: node's http module with a keep-alive agent of two sockets;
// every tenth request posts a body of unknown length, which node sends chunked.
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const [vip, requests, interval_ms] = process.argv.slice(2);
const family = vip.includes(":") ? 6 : 4;
const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
const paths = ["/", "/api/v1/items", "/static/app.js", "/checkout/cart", "/api/v1/items?sort=price"];

function send(number) {
  const post = number % 10 === 9;
  const options = {
    agent,
    hostname: "shop.example.com",
    lookup: (_name, asked, done) => asked.all ? done(null, [{ address: vip, family }]) : done(null, vip, family),
    method: post ? "POST" : "GET",
    path: post ? "/login" : paths[number % paths.length],
    headers: { "User-Agent": "shop-frontend (node)" },
  };
  return new Promise((done, failed) => {
    const request = http.request(options, (response) => {
      if (response.statusCode !== 200) failed(new Error(`status ${response.statusCode}`));
      response.resume().on("end", done);
    });
    request.on("error", failed);
    if (post) request.write('{"user": "ada", ');
    request.end(post ? '"password": "correct horse"}' : undefined);
  });
}

for (let number = 0; number < Number(requests); number += 2) {
  await Promise.all([send(number), send(number + 1)]);
  await sleep(Number(interval_ms));
}
agent.destroy();
