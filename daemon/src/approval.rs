//! Whether two operators agreed: each under a key of their own that this box was given, or, where it was given none, as
//! headquarters says.

use crate::jws;
use checkout::control::Approval;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// More words than these are not read.
const DOCUMENTS_MAX: usize = 8;

/// How many different operators agreed to what `preimage` says. `approvers`: name → public key.
#[must_use]
pub fn agreed(documents: &[String], preimage: &str, tenant: &str, approvers: &BTreeMap<String, String>) -> usize {
    let subject = jws::hex(&Sha256::digest(preimage.as_bytes()));
    let word = |document: &String| {
        let claimed = jws::claimed::<Approval>(document.as_bytes()).ok()?;
        let name = claimed.doc.operator;
        let signed = if approvers.is_empty() {
            jws::claimed::<Approval>(document.as_bytes()).ok()?
        } else {
            jws::read::<Approval>(document.as_bytes(), &jws::public_key(approvers.get(&name)?)?).ok()?
        };
        let fits = signed.purpose == "approval" && signed.tenant == tenant && signed.doc.subject == subject;
        fits.then_some(name)
    };
    documents.iter().take(DOCUMENTS_MAX).filter_map(word).collect::<BTreeSet<String>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use checkout::wire::Signed;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    fn pair(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn word(name: &str, of: &str, seed: u8) -> String {
        let subject = jws::hex(&Sha256::digest(of.as_bytes()));
        let doc = Approval { operator: name.into(), subject };
        jws::sign(&Signed { tenant: "t".into(), box_id: None, purpose: "approval".into(), rev: 1, doc }, &pair(seed))
            .unwrap()
    }

    #[test]
    fn two_are_two_people_each_with_the_key_this_box_knows_them_by() {
        let known = |name: &str, seed| (name.to_owned(), URL_SAFE_NO_PAD.encode(pair(seed).public_key().as_ref()));
        let approvers = BTreeMap::from([known("li", 1), known("wang", 2)]);
        let count = |words: &[String]| agreed(words, "restart", "t", &approvers);
        assert_eq!(count(&[word("li", "restart", 1), word("wang", "restart", 2)]), 2);
        assert_eq!(count(&[word("li", "restart", 1), word("li", "restart", 1)]), 1, "one twice");
        assert_eq!(count(&[word("li", "restart", 1), word("wang", "restart", 1)]), 1, "another's key");
        assert_eq!(count(&[word("li", "restart", 1), word("eve", "restart", 3)]), 1, "nobody this box knows");
        assert_eq!(count(&[word("li", "restart", 1), word("wang", "summary", 2)]), 1, "something else");
        assert_eq!(agreed(&[word("li", "restart", 1)], "restart", "u", &approvers), 0, "another retailer's");
        let told = [word("li", "restart", 1), word("wang", "restart", 9), "garbage".into()];
        assert_eq!(agreed(&told, "restart", "t", &BTreeMap::new()), 2, "a box without keys believes headquarters");
    }
}
