-- Headquarters' store. Amounts are minor units, times milliseconds since 1970 (UTC), hashes SHA-256.

CREATE TABLE IF NOT EXISTS box (
    id          TEXT PRIMARY KEY,
    store       TEXT NOT NULL DEFAULT '',
    journal     TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    -- Everything of this journal and epoch up to here is in journal_event.
    acked       INTEGER NOT NULL DEFAULT 0,
    hash        BLOB NOT NULL,
    -- What the box itself says its newest event is.
    head        INTEGER NOT NULL DEFAULT 0,
    boot        INTEGER NOT NULL DEFAULT 0,
    connection  INTEGER NOT NULL DEFAULT 0,
    online      INTEGER NOT NULL DEFAULT 0,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    version     TEXT NOT NULL DEFAULT '',
    price_book  TEXT NOT NULL DEFAULT '',
    -- JSON: device name -> up.
    devices     TEXT NOT NULL DEFAULT '{}',
    welcome_rev INTEGER NOT NULL DEFAULT 0,
    -- Card money its terminals approved by themselves and have not handed in.
    exposure    INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Starts of boxes that said hello lately, and the number of the last one heard of each: brokers bring messages twice.
CREATE TABLE IF NOT EXISTS box_start (
    box   TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    said  INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (box, nonce)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS journal_event (
    box   TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    utc   INTEGER NOT NULL,
    lane  INTEGER,
    -- area.fact, such as basket.completed
    kind  TEXT NOT NULL,
    body  TEXT NOT NULL,
    PRIMARY KEY (box, epoch, seq)
) STRICT, WITHOUT ROWID;

-- Chain hashes at the points HQ has acknowledged: what a returning box is compared with.
CREATE TABLE IF NOT EXISTS journal_mark (
    box   TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    hash  BLOB NOT NULL,
    PRIMARY KEY (box, epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS sale (
    transaction_id TEXT PRIMARY KEY,
    box        TEXT NOT NULL,
    lane       INTEGER,
    receipt_no INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    total      INTEGER NOT NULL,
    tax        INTEGER NOT NULL,
    discount   INTEGER NOT NULL,
    change     INTEGER NOT NULL,
    currency   TEXT NOT NULL,
    member     TEXT,
    epoch      INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    -- SHA-256 of what was completed: a second completion must say the same.
    content    BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS sale_at ON sale (at);
CREATE INDEX IF NOT EXISTS sale_box_at ON sale (box, at);
CREATE INDEX IF NOT EXISTS sale_number ON sale (box, lane, receipt_no);

-- Transactions that were completed again, otherwise than the first time: a disk was copied with an open basket on it, and the
-- basket was paid on both. The first stands in `sale`; both bodies are in `journal_event`.
CREATE TABLE IF NOT EXISTS sale_again (
    transaction_id TEXT NOT NULL,
    content    BLOB NOT NULL,
    at         INTEGER NOT NULL,
    box        TEXT NOT NULL,
    lane       INTEGER,
    receipt_no INTEGER NOT NULL,
    total      INTEGER NOT NULL,
    currency   TEXT NOT NULL,
    -- What paid: kinds and amounts.
    tenders    TEXT NOT NULL,
    epoch      INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    PRIMARY KEY (transaction_id, content, at)
) STRICT, WITHOUT ROWID;

-- What each box signs its heads with, as it first said.
CREATE TABLE IF NOT EXISTS box_key (
    box TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    at  INTEGER NOT NULL
) STRICT;

-- What boxes have signed their journals to be. `checked`: held against the rows headquarters has.
CREATE TABLE IF NOT EXISTS signed_head (
    box      TEXT NOT NULL,
    journal  TEXT NOT NULL,
    epoch    INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    hash     TEXT NOT NULL,
    -- Compact JWS.
    document TEXT NOT NULL,
    at       INTEGER NOT NULL,
    checked  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (box, journal, epoch, seq, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS sale_line (
    transaction_id TEXT NOT NULL,
    no         INTEGER NOT NULL,
    item       TEXT NOT NULL,
    name_zh    TEXT NOT NULL,
    name_en    TEXT NOT NULL,
    quantity   INTEGER NOT NULL,
    weight_g   INTEGER,
    unit_price INTEGER NOT NULL,
    discount   INTEGER NOT NULL,
    total      INTEGER NOT NULL,
    price_book TEXT NOT NULL,
    PRIMARY KEY (transaction_id, no)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS sale_tender (
    transaction_id TEXT NOT NULL,
    tender TEXT NOT NULL,
    kind   TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (transaction_id, tender)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS sale_tax (
    transaction_id TEXT NOT NULL,
    rate_bp INTEGER NOT NULL,
    net     INTEGER NOT NULL,
    tax     INTEGER NOT NULL,
    PRIMARY KEY (transaction_id, rate_bp)
) STRICT, WITHOUT ROWID;

-- `of` is the sale itself, or the one whose goods came back with it.
CREATE TABLE IF NOT EXISTS sale_points (
    transaction_id TEXT NOT NULL,
    of     TEXT NOT NULL,
    member TEXT NOT NULL,
    earned INTEGER NOT NULL,
    burnt  INTEGER NOT NULL,
    taken  INTEGER NOT NULL,
    given  INTEGER NOT NULL,
    PRIMARY KEY (transaction_id, of)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sale_points_member ON sale_points (member);

CREATE TABLE IF NOT EXISTS alarm (
    id      INTEGER PRIMARY KEY,
    box     TEXT NOT NULL,
    kind    TEXT NOT NULL,
    detail  TEXT NOT NULL,
    at      INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    count   INTEGER NOT NULL DEFAULT 1,
    UNIQUE (box, kind, detail)
) STRICT;

CREATE INDEX IF NOT EXISTS alarm_last_at ON alarm (last_at);

-- Sales of all stores by quarter of an hour since 1970 (UTC), so that today's are not counted row by row.
CREATE TABLE IF NOT EXISTS sale_quarter (
    quarter     INTEGER NOT NULL,
    currency    TEXT NOT NULL,
    sales       INTEGER NOT NULL,
    total       INTEGER NOT NULL,
    with_member INTEGER NOT NULL,
    PRIMARY KEY (quarter, currency)
) STRICT, WITHOUT ROWID;
-- A database from before it.
INSERT INTO sale_quarter SELECT at / 900000, currency, count(*), CAST(total(total) AS INTEGER), count(member) FROM sale
    WHERE NOT EXISTS (SELECT 1 FROM sale_quarter) GROUP BY 1, 2;

-- Which version of each dataset a box last said to be in force, and since when by its clock.
CREATE TABLE IF NOT EXISTS box_data (
    box     TEXT NOT NULL,
    dataset TEXT NOT NULL,
    version INTEGER NOT NULL,
    name    TEXT NOT NULL,
    since   INTEGER NOT NULL,
    PRIMARY KEY (box, dataset)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS dead_letter (
    box    TEXT NOT NULL,
    epoch  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    reason TEXT NOT NULL,
    body   BLOB NOT NULL,
    PRIMARY KEY (box, epoch, seq)
) STRICT, WITHOUT ROWID;

-- How far each journal was priced again, and its fold up to some row before there (parity.rs).
CREATE TABLE IF NOT EXISTS parity_cursor (
    box     TEXT NOT NULL,
    epoch   INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    -- Completed sales up to seq.
    checked INTEGER NOT NULL,
    -- Which code made the state.
    fold    TEXT NOT NULL,
    state   TEXT NOT NULL,
    PRIMARY KEY (box, epoch)
) STRICT, WITHOUT ROWID;

-- Sales that headquarters works out otherwise: there must be none.
CREATE TABLE IF NOT EXISTS parity (
    box            TEXT NOT NULL,
    epoch          INTEGER NOT NULL,
    seq            INTEGER NOT NULL,
    transaction_id TEXT NOT NULL,
    at             INTEGER NOT NULL,
    what           TEXT NOT NULL,
    place          TEXT NOT NULL,
    expected       TEXT NOT NULL,
    found          TEXT NOT NULL,
    PRIMARY KEY (transaction_id, what, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS parity_at ON parity (at);

-- Every coupon redeemed with a sale, or taken back with the goods it came with.
CREATE TABLE IF NOT EXISTS coupon_use (
    campaign       TEXT NOT NULL,
    serial         TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    box            TEXT NOT NULL,
    at             INTEGER NOT NULL,
    -- Under this lease, where headquarters was away.
    lease          INTEGER,
    PRIMARY KEY (campaign, serial, transaction_id)
) STRICT, WITHOUT ROWID;

-- A single-use serial redeemed again: both sales stand, and here they are named.
CREATE TABLE IF NOT EXISTS coupon_conflict (
    campaign          TEXT NOT NULL,
    serial            TEXT NOT NULL,
    transaction_id    TEXT NOT NULL,
    box               TEXT NOT NULL,
    at                INTEGER NOT NULL,
    other_transaction TEXT NOT NULL,
    other_box         TEXT NOT NULL,
    -- The box of transaction_id has been told.
    told              INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (campaign, serial, transaction_id)
) STRICT, WITHOUT ROWID;

-- A single-use serial in a basket somewhere; holds for a while only.
CREATE TABLE IF NOT EXISTS coupon_claim (
    campaign TEXT NOT NULL,
    serial   TEXT NOT NULL,
    box      TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (campaign, serial)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS dataset (
    dataset  TEXT NOT NULL,
    version  INTEGER NOT NULL,
    name     TEXT NOT NULL,
    rows     INTEGER NOT NULL,
    imported INTEGER NOT NULL,
    -- wire::Manifest as JSON.
    manifest TEXT NOT NULL,
    PRIMARY KEY (dataset, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS chunk (
    hash TEXT PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

-- One row a charge for ever: what makes a tender be charged at most once. The shopper's code is never stored.
CREATE TABLE IF NOT EXISTS payment (
    box       TEXT NOT NULL,
    tender    TEXT NOT NULL,
    -- Our number at the provider (pay::order_no).
    order_no  TEXT NOT NULL UNIQUE,
    provider  TEXT NOT NULL,
    amount    INTEGER NOT NULL,
    currency  TEXT NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('asked', 'pending', 'reversing', 'approved', 'declined', 'reversed', 'closed')),
    -- What the provider took.
    taken     INTEGER NOT NULL DEFAULT 0,
    -- The provider's number, or its reason.
    reference TEXT NOT NULL DEFAULT '',
    at        INTEGER NOT NULL,
    asked_at  INTEGER NOT NULL,
    -- When it turned out to be taken after the box had been told that it was not.
    late      INTEGER,
    PRIMARY KEY (box, tender)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS payment_open ON payment (asked_at) WHERE state IN ('asked', 'pending', 'reversing');
CREATE INDEX IF NOT EXISTS payment_late ON payment (box) WHERE late IS NOT NULL;

-- One row a refund for ever, as above; all refunds of one charge are never more than it took.
CREATE TABLE IF NOT EXISTS payment_refund (
    box       TEXT NOT NULL,
    tender    TEXT NOT NULL,
    order_no  TEXT NOT NULL UNIQUE,
    -- The tender of the charge it gives back.
    charge    TEXT NOT NULL,
    provider  TEXT NOT NULL,
    amount    INTEGER NOT NULL,
    currency  TEXT NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('asked', 'approved', 'declined')),
    reference TEXT NOT NULL DEFAULT '',
    at        INTEGER NOT NULL,
    asked_at  INTEGER NOT NULL,
    PRIMARY KEY (box, tender)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS payment_refund_of ON payment_refund (box, charge);
CREATE INDEX IF NOT EXISTS payment_refund_open ON payment_refund (asked_at) WHERE state = 'asked';

-- What the journals say of every tender; negative amounts went back.
CREATE TABLE IF NOT EXISTS tender_money (
    box      TEXT NOT NULL,
    tender   TEXT NOT NULL,
    order_no TEXT NOT NULL,
    kind     TEXT NOT NULL,
    asked    INTEGER NOT NULL,
    taken    INTEGER NOT NULL DEFAULT 0,
    at       INTEGER NOT NULL,
    PRIMARY KEY (box, tender)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tender_money_order ON tender_money (order_no);

-- Providers' statements, line by line; a line that stands there twice is here twice.
CREATE TABLE IF NOT EXISTS statement_line (
    provider  TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('charge', 'refund')),
    order_no  TEXT NOT NULL,
    refund_no TEXT NOT NULL,
    nth       INTEGER NOT NULL,
    reference TEXT NOT NULL,
    amount    INTEGER NOT NULL,
    currency  TEXT NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (provider, kind, order_no, refund_no, nth)
) STRICT, WITHOUT ROWID;

-- What all stores together did to each account since the first sale.
CREATE VIEW IF NOT EXISTS member_points AS
    SELECT member, sum(earned) AS earned, sum(burnt) AS burnt, sum(taken) AS taken, sum(given) AS given,
           sum(earned - burnt - taken + given) AS change
    FROM sale_points GROUP BY member;

CREATE VIEW IF NOT EXISTS sale_by_hour AS
    SELECT box, strftime('%Y-%m-%d %H:00', at / 1000, 'unixepoch', 'localtime') AS hour,
           currency, count(*) AS sales, sum(total) AS total
    FROM sale GROUP BY box, hour, currency;

-- What members have signed so that their wallets may be charged by face; of the PIN only a keyed code.
CREATE TABLE IF NOT EXISTS member_mandate (
    member        TEXT PRIMARY KEY,
    currency      TEXT NOT NULL,
    balance       INTEGER NOT NULL,
    tap_limit     INTEGER NOT NULL,
    sale_limit    INTEGER NOT NULL,
    day_limit     INTEGER NOT NULL,
    until         INTEGER,
    signed_at     INTEGER NOT NULL,
    pin_salt      BLOB,
    pin_mac       BLOB,
    pin_failures  INTEGER NOT NULL DEFAULT 0,
    pin_failed_at INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One row a tender for ever, as with other wallets.
CREATE TABLE IF NOT EXISTS member_charge (
    box      TEXT NOT NULL,
    tender   TEXT NOT NULL,
    member   TEXT NOT NULL,
    amount   INTEGER NOT NULL,
    currency TEXT NOT NULL,
    factor   TEXT NOT NULL CHECK (factor IN ('tap', 'pin', 'phone')),
    state    TEXT NOT NULL CHECK (state IN ('approved', 'declined', 'pending')),
    reason   TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (box, tender)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS member_charge_of ON member_charge (member, at);

CREATE TABLE IF NOT EXISTS member_refund (
    box    TEXT NOT NULL,
    tender TEXT NOT NULL,
    charge TEXT NOT NULL,
    amount INTEGER NOT NULL,
    state  TEXT NOT NULL CHECK (state IN ('approved', 'declined')),
    at     INTEGER NOT NULL,
    PRIMARY KEY (box, tender)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS member_refund_of ON member_refund (box, charge);

-- What a member is to be told of the wallet; whoever delivers it sets `told`.
CREATE TABLE IF NOT EXISTS member_notice (
    id     INTEGER PRIMARY KEY,
    member TEXT NOT NULL,
    kind   TEXT NOT NULL,
    box    TEXT NOT NULL,
    tender TEXT NOT NULL,
    amount INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    told   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (box, tender, kind)
) STRICT;

-- Consents, templates, withdrawals and erasures; nothing biometric. Kept for three years and longer.
CREATE TABLE IF NOT EXISTS face_ledger (
    box    TEXT NOT NULL,
    epoch  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    member TEXT NOT NULL,
    what   TEXT NOT NULL,
    at     INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (box, epoch, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS face_ledger_of ON face_ledger (member, at);
CREATE INDEX IF NOT EXISTS face_ledger_at ON face_ledger (at);

-- Whose template lies at which box.
CREATE TABLE IF NOT EXISTS face_stored (
    member TEXT NOT NULL,
    box    TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (member, box)
) STRICT, WITHOUT ROWID;

-- Who withdrew, in the order every box follows.
CREATE TABLE IF NOT EXISTS face_erasure (
    n      INTEGER PRIMARY KEY AUTOINCREMENT,
    member TEXT NOT NULL,
    at     INTEGER NOT NULL,
    box    TEXT NOT NULL,
    epoch  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    UNIQUE (box, epoch, seq)
) STRICT;

-- The key each box's gallery signs receipts with, as first seen.
CREATE TABLE IF NOT EXISTS face_key (
    box        TEXT PRIMARY KEY,
    public_key TEXT NOT NULL
) STRICT;

-- Several headquarters over one database: who lives, and who takes in which shard of boxes (lease.rs).
CREATE TABLE IF NOT EXISTS worker (
    id    TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS shard_lease (
    shard  INTEGER NOT NULL,
    worker TEXT NOT NULL,
    until  INTEGER NOT NULL,
    PRIMARY KEY (shard)
) STRICT, WITHOUT ROWID;

-- The key all of them sign with.
CREATE TABLE IF NOT EXISTS hq_key (
    id         INTEGER NOT NULL CHECK (id = 1),
    public_key TEXT NOT NULL,
    PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;
-- What headquarters was told to go by: tenant, bounds.
CREATE TABLE IF NOT EXISTS setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- People who work headquarters. `key` is the public half; the other is a file of their own. `gone`: they are no more.
CREATE TABLE IF NOT EXISTS operator (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    key  TEXT NOT NULL UNIQUE,
    at   INTEGER NOT NULL,
    gone INTEGER
) STRICT;

-- What takes two operators, in words and as the SHA-256 of what is agreed to.
CREATE TABLE IF NOT EXISTS approval (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    what    TEXT NOT NULL,
    subject TEXT NOT NULL,
    at      INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    state   TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'refused', 'expired'))
) STRICT;

CREATE TABLE IF NOT EXISTS approval_signature (
    approval INTEGER NOT NULL,
    operator TEXT NOT NULL,
    -- Compact JWS, signed with the operator's own key.
    document TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (approval, operator)
) STRICT, WITHOUT ROWID;

-- Who did what at headquarters. Rows are only ever added.
CREATE TABLE IF NOT EXISTS audit (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    -- Empty: whoever stood at the machine.
    who    TEXT NOT NULL,
    did    TEXT NOT NULL,
    about  TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS audit_stays BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit is only added to'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_kept BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit is only added to'); END;

-- Imports outside the bounds, until two operators have agreed. Their chunks are in `chunk`.
CREATE TABLE IF NOT EXISTS quarantine (
    approval INTEGER PRIMARY KEY,
    -- wire::Manifest as JSON, without a version.
    manifest TEXT NOT NULL,
    -- The version it was compared with.
    against  INTEGER NOT NULL,
    -- bounds::Delta as JSON.
    delta    TEXT NOT NULL
) STRICT;

-- Commands to boxes. `rev` rises with each that is sent to a box.
CREATE TABLE IF NOT EXISTS command (
    id       TEXT PRIMARY KEY,
    box      TEXT NOT NULL,
    rev      INTEGER,
    verb     TEXT NOT NULL,
    issued   INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    -- control::Command as JSON.
    document TEXT NOT NULL,
    approval INTEGER,
    asked_by TEXT NOT NULL,
    state    TEXT NOT NULL CHECK (state IN
        ('waiting', 'queued', 'sent', 'received', 'started', 'done', 'failed', 'refused', 'expired')),
    -- Result or reason, as the box tells it.
    said     TEXT NOT NULL DEFAULT '',
    -- How often it went out: a box that heard it all the same refuses it the second time.
    sends    INTEGER NOT NULL DEFAULT 0,
    changed  INTEGER NOT NULL,
    UNIQUE (box, rev)
) STRICT;
CREATE INDEX IF NOT EXISTS command_open ON command (box) WHERE state IN ('waiting', 'queued', 'sent', 'received', 'started');

-- The configuration each box is to have, as TOML.
CREATE TABLE IF NOT EXISTS desired (
    box    TEXT PRIMARY KEY,
    rev    INTEGER NOT NULL,
    config TEXT NOT NULL,
    hash   TEXT NOT NULL,
    at     INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS desired_at ON desired (at);

-- What each box says it made of it: control::Reported as JSON.
CREATE TABLE IF NOT EXISTS box_config (
    box      TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    at       INTEGER NOT NULL
) STRICT;

-- Which boxes get changes together.
CREATE TABLE IF NOT EXISTS box_ring (
    box  TEXT PRIMARY KEY,
    ring TEXT NOT NULL
) STRICT;

-- Certificates headquarters gave out: of boxes, claims and itself. `revoked`: nobody gets in with it any more.
CREATE TABLE IF NOT EXISTS certificate (
    serial    TEXT PRIMARY KEY,
    -- Its common name: the box.
    name      TEXT NOT NULL,
    pem       TEXT NOT NULL,
    request   TEXT NOT NULL,
    not_after INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    revoked   INTEGER,
    reason    TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS certificate_of ON certificate (name, at);

-- New boxes that wait for somebody to say who they are, by the code they show.
CREATE TABLE IF NOT EXISTS pairing (
    id          TEXT PRIMARY KEY,
    code        TEXT NOT NULL,
    csr         TEXT NOT NULL,
    at          INTEGER NOT NULL,
    box         TEXT,
    certificate TEXT
) STRICT;
