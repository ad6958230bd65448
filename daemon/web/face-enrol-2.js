// The words a member agrees to before a template of the face is kept. Never edit: a changed text is a new file with a new version;
// the box keeps the SHA-256 of this very file with each consent.

export const FACE_ENROL = {
  version: "face-enrol-2",
  zh: [
    "我同意本店保存我的人脸特征，只用于在结账时识别我的会员身份。这份同意与会员协议和其他协议分开，不同意也能照常购物和享受会员价。",
    "保存的是由照片算出的一组数字，加密存放在本店的设备里；照片当场清除，不保存、不上传；录入时本台屏幕上会有一面小镜子，只给您自己看，录完即消失。特征不会发送到其他门店、总部或任何第三方。",
    "人脸只用于识别，不会单独完成付款：付款还需要您点按确认、输入支付密码或在手机上确认。",
    "特征保存到我撤回同意，或一年内没有使用为止，最长不超过三年无使用。我可以随时在任一收银台扫会员码，打开“我的数据”，点“撤回人脸”：立即停止识别，并删除所有门店设备上的特征和密钥，还会留下删除凭证。",
    "在“我的数据”里可以看到并打印本店保存的内容；我也可以向店员索取全部记录的文件。未满十四岁须由监护人签署同意书。",
  ],
  en: [
    "I agree that this shop keeps a template of my face, only to recognise my membership at the checkout. This consent is apart from the membership and every other agreement; without it I shop at the same prices with the same service.",
    "What is kept are numbers worked out from pictures, encrypted, in this shop's own machine. The pictures are wiped at once: not kept, not sent. While you enrol, this lane's screen shows you a small mirror, which is gone with it. The template is not sent to other shops, to headquarters or to anybody else.",
    "A face only recognises; it never pays by itself. Paying also needs your tap, your payment PIN or your phone.",
    "The template stays until I withdraw, or until it was not used for a year; a shop may set another time, never above three years. I can withdraw at any time: scan the member code at any lane, open “My data” and press “Withdraw my face”. I am not recognised from that moment on, template and key are destroyed on every box, and a receipt of it is kept.",
    "“My data” shows and prints what this shop keeps, and the staff hand me everything on record as a file. Under fourteen a guardian has to sign.",
  ],
};
