// A receipt by another maker's encoder, in hexadecimal.
const receiptline = require("receiptline");
const bytes = receiptline.transform(require("fs").readFileSync(0, "utf8"), {
  cpl: 48,
  encoding: "gb18030",
  command: "escpos",
});
process.stdout.write(Buffer.from(bytes, "binary").toString("hex"));
