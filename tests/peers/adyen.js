// The terminal maker's own library opens what our driver sealed, and seals an answer for it.
// Standard input: {"request": SaleToPOIRequest, "answer": what to seal}; output: {"opened": …, "sealed": …}.
const { NexoSecurityManager } = require("@adyen/api-library/lib/src/security/clouddevice/nexoSecurityManager.js");
const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
const manager = new NexoSecurityManager({
  passphrase: "change me",
  keyIdentifier: "lane",
  keyVersion: 1,
  adyenCryptoVersion: 1,
});
const opened = JSON.parse(manager.decrypt(given.request));
const header = { ...given.request.MessageHeader, MessageType: "Response" };
const answer = { SaleToPOIResponse: { MessageHeader: header, ...given.answer } };
const sealed = manager.encrypt(JSON.stringify(answer), header);
process.stdout.write(JSON.stringify({ opened, sealed: { SaleToPOIResponse: sealed } }));
