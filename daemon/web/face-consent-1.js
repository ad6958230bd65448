// The words a shopper agrees to. Never edit: a changed text is a new file with a new version.

export const FACE_CONSENT = {
  version: "face-consent-1",
  zh: [
    "只为找到您的会员账户，本台会用摄像头看您一次，最长约十秒。",
    "画面只在本机内存里处理，用完立即清除，不保存、不上传、不用于其他目的。",
    "仅与您开通时另行同意而保存的人脸特征比对；人脸只用于识别会员，不会单独完成付款。",
    "您可以随时改用会员码，价格与服务完全一样；也可以随时向店员撤回同意并删除特征。",
  ],
  en: [
    "Only to find your membership, this kiosk looks at you once with its camera, for about ten seconds at most.",
    "Pictures are handled in this machine's memory and wiped at once: not kept, not sent, not used for anything else.",
    "They are compared only with the template you separately agreed to when you enrolled. A face finds a membership; it never pays by itself.",
    "You may use your member code instead at any time, with the same prices and service, and withdraw your consent and have the template erased at the desk.",
  ],
};
