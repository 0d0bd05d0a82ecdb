// The real hyco-ws as listener or sender. It takes its part from argv and its secrets from the
// environment, and writes what it sees to standard output, one JSON object a line.
'use strict';

const crypto = require('crypto');
const hyco = require('hyco-ws');

const [part, url] = process.argv.slice(2);
const { TOKEN, KEY, RULE, PROTOCOL } = process.env;
const token = TOKEN || hyco.createRelayToken(url, RULE, KEY);

const tell = (event, facts) => process.stdout.write(JSON.stringify({ event, ...facts }) + '\n');
const hash = (data) => crypto.createHash('sha256').update(data).digest('hex');

// Sends back whatever comes, as text or binary as it came.
function listen() {
  const server = hyco.createRelayedServer({ server: url, token }, (ws) => {
    tell('connection', { url: ws.url, protocol: ws.protocol });
    ws.on('message', (data, flags) => ws.send(data, { binary: Boolean(flags.binary) }));
    ws.on('close', (code, reason) => tell('close', { code, reason }));
    ws.on('error', (error) => tell('error', { text: String(error) }));
  });
  server.on('listening', () => tell('listening'));
  server.on('error', (error) => {
    tell('error', { text: String(error) });
    process.exit(1); // it would dial again at once, for ever
  });
}

// Sends one text and one large binary message, and closes once both came back.
function send() {
  const large = crypto.randomBytes(300000);
  const options = { headers: { ServiceBusAuthorization: token } };
  const ws = PROTOCOL
    ? new hyco(url, PROTOCOL.split(','), options)
    : hyco.relayedConnect(url, token);
  ws.on('open', () => {
    tell('open', { protocol: ws.protocol });
    ws.send('hello é');
    ws.send(large, { binary: true });
  });
  ws.on('message', (data, flags) => {
    if (flags.binary) {
      tell('binary', { same: hash(data) === hash(large) });
      ws.close(1000, 'done');
    } else {
      tell('text', { text: data });
    }
  });
  ws.on('close', (code, reason) => tell('close', { code, reason }));
  ws.on('error', (error) => tell('error', { text: String(error) }));
}

({ listen, send })[part]();
