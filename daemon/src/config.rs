//! One TOML file: identity, links, lanes, broker. Unknown keys are refused with their line.

use crate::clock::Zone;
use crate::coupon_key::CouponKey;
use anyhow::{Context, Result, bail, ensure};
use checkout::bounds::Bounds;
use checkout::config::{GivesBack, LaneConfig, PriceRules, StaffConfig, StoreConfig, TillRules};
use checkout::receipt::Currency;
use checkout::rules::FloorRules;
use checkout::scan::ScanRules;
use checkout::scan::freshness::FreshnessRules;
use checkout::scan::link::LinkRules;
use checkout::view::LaneKind;
use checkout::words::{DeviceId, LaneId, Name, Private, Role, StaffId};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Unique in the fleet.
    #[serde(rename = "box")]
    pub box_id: String,
    pub tenant: String,
    /// Where `journal.db`, `catalog.db` and `members.db` live.
    pub data: PathBuf,
    pub store: Store,
    pub http: Http,
    pub hq: Option<Hq>,
    #[serde(default, rename = "device")]
    pub devices: Vec<Device>,
    #[serde(rename = "lane")]
    pub lanes: Vec<Lane>,
    #[serde(default)]
    pub staff: Vec<Staff>,
    /// Limits, restricted hours, overrides, bagging, rescans, points.
    #[serde(default)]
    pub floor: FloorRules,
    /// Shifts, and baskets left behind.
    #[serde(default)]
    pub till: Till,
    #[serde(default)]
    pub coupons: Coupons,
    #[serde(default)]
    pub disk: Disk,
    pub backup: Option<Backup>,
    /// Nothing is a sale: asked for on the command line, never kept in a file.
    #[serde(skip)]
    pub training: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Till {
    /// Cash moves only in an open shift.
    #[serde(default)]
    pub shifts: bool,
    /// Seconds after which a kiosk's or phone's basket nobody touches is given up.
    pub idle_reset_s: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coupons {
    /// What signed coupons are told by; left out: the service's credential `coupon.key`, if there is one.
    pub key_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Room kept for the baskets that are open when the disk is full, in kB.
    #[serde(default = "ballast_kb")]
    pub ballast_kb: u64,
    /// A WAL this long, in kB, is held up by a program that reads the journal and does not end: an alarm.
    #[serde(default = "wal_kb")]
    pub wal_kb: u64,
}

impl Default for Disk {
    fn default() -> Self {
        Self { ballast_kb: ballast_kb(), wal_kb: wal_kb() }
    }
}

const fn ballast_kb() -> u64 {
    crate::space::BALLAST_KB
}

const fn wal_kb() -> u64 {
    crate::space::WAL_KB
}

/// Copies of the journal on a second medium.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// A folder on it, which must be there: nothing is written where the medium is not plugged in.
    pub folder: PathBuf,
    /// How many are kept.
    #[serde(default = "keep")]
    pub keep: u16,
    /// The store's own time, such as `03:30`.
    #[serde(default = "at")]
    pub at: MinuteOfDay,
}

const fn keep() -> u16 {
    14
}

const fn at() -> MinuteOfDay {
    MinuteOfDay(3 * 60 + 30)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinuteOfDay(pub u16);

impl<'de> Deserialize<'de> for MinuteOfDay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parts = text.split_once(':').and_then(|(hour, minute)| Some((hour.parse().ok()?, minute.parse().ok()?)));
        match parts {
            Some((hour @ 0..24, minute @ 0..60)) => Ok(Self(hour * 60 + minute)),
            Some(_) | None => Err(serde::de::Error::custom(format!("{text:?} is no time: write it as 03:30"))),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    pub name: Name,
    /// ISO 4217 code.
    pub currency: String,
    /// Where its clock hangs, such as `Europe/Zurich`.
    pub time_zone: Option<Zone>,
    /// Minutes east of UTC all year, in place of a time zone.
    pub utc_offset_min: Option<i32>,
    /// In-store codes, such as `21IIIIIWWWWWC`.
    #[serde(default)]
    pub codes: Vec<String>,
    /// ISO 3166-1 code: how tax, prices and cash are rounded there.
    pub country: Option<String>,
    /// What of it this store does otherwise.
    #[serde(default)]
    pub price: toml::Table,
    /// Goods are refused this many days after their best-before date; without it they are sold on.
    #[serde(default)]
    pub best_before_grace_days: Option<u16>,
    /// Older forms of Digital Links the store still reads.
    #[serde(default)]
    pub links: LinkRules,
}

impl Store {
    /// The country's rules with this store's own over them.
    fn price_rules(&self) -> Result<PriceRules> {
        let known = PriceRules::COUNTRIES.join(", ");
        let country = self.country.as_deref().map(|country| {
            PriceRules::of(country).with_context(|| format!("country {country:?} is not known; there are {known}"))
        });
        let mut fields = toml::Table::try_from(country.transpose()?.unwrap_or_default())?;
        for (name, value) in &self.price {
            match (fields.get_mut(name), value) {
                (Some(toml::Value::Table(fields)), toml::Value::Table(own)) => fields.extend(own.clone()),
                _ => drop(fields.insert(name.clone(), value.clone())),
            }
        }
        fields.try_into().context("store.price")
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub listen: SocketAddr,
    /// Names pages may be asked under besides the address itself.
    #[serde(default)]
    pub names: Vec<String>,
    /// Addresses the front page links to: `hq`, `panel`.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hq {
    /// `mqtt://host:1883` or `mqtts://host:8883`.
    pub broker: String,
    /// Ed25519, as `aisle-hq pubkey` prints it: what steers this box is signed with it.
    pub public_key: String,
    /// PEM files; all three for `mqtts`.
    pub ca: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    #[serde(default = "keep_alive")]
    pub keep_alive_s: u16,
    /// How far a price book may be from the one in force without two operators' word; left out: as far as headquarters says.
    pub bounds: Option<Bounds>,
    /// Operators this box knows, by name, and their keys as `aisle-hq users list` prints them; left out: headquarters says who agreed.
    #[serde(default)]
    pub approvers: BTreeMap<String, String>,
    /// Seconds after which a start with what headquarters wants has gone well.
    #[serde(default = "settle")]
    pub settle_s: u16,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub name: DeviceId,
    pub driver: String,
    pub link: String,
    /// USB vendor and product, such as `0c2e:0b6a`; asked of the system where it is not said.
    pub model: Option<String>,
    #[serde(default)]
    pub options: serde_json::Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lane {
    pub number: u16,
    pub kind: LaneKind,
    #[serde(default)]
    pub scanners: Vec<DeviceId>,
    pub scale: Option<DeviceId>,
    /// The scale under the bags.
    pub bagging: Option<DeviceId>,
    pub terminal: Option<DeviceId>,
    pub printer: Option<DeviceId>,
    pub vision: Option<DeviceId>,
    /// Reads codes when the shopper asks for it.
    pub camera: Option<DeviceId>,
    pub display: Option<DeviceId>,
    pub light: Option<DeviceId>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staff {
    pub id: String,
    pub name: String,
    /// What `aisled pin` prints.
    pub pin: String,
    /// `cashier`, `supervisor` or `manager`.
    #[serde(default)]
    pub role: Role,
    /// What the badge's code says behind `S-`; as good as a key.
    pub badge: Option<Private<String>>,
}

impl Staff {
    fn config(&self) -> StaffConfig {
        StaffConfig { staff: StaffId(self.id.clone()), role: self.role, badge: self.badge.clone() }
    }
}

const fn settle() -> u16 {
    60
}

const fn keep_alive() -> u16 {
    10
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// Says which file, which line or name, and what would be right.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("configuration {}", path.display()))
    }

    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| anyhow::anyhow!("{error}"))?;
        config.check()?;
        Ok(config)
    }

    /// # Errors
    /// As [`Config::read`], without the line.
    pub fn of(table: toml::Table) -> Result<Self> {
        let config: Self = table.try_into().map_err(|error| anyhow::anyhow!("{error}"))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let id = |text: &str| {
            !text.is_empty() && text.len() <= 40 && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
        };
        ensure!(id(&self.box_id), "box = {:?}: use letters, digits and '-', at most 40", self.box_id);
        ensure!(id(&self.tenant), "tenant = {:?}: use letters, digits and '-', at most 40", self.tenant);
        ensure!(!self.lanes.is_empty(), "there is no [[lane]]: a store needs at least one");
        currency(&self.store.currency)?;
        self.zone()?;
        if let Some(fault) = self.floor.face.fault() {
            bail!("[floor.face] {fault}");
        }
        self.check_devices()?;
        self.check_lanes()
    }

    fn check_devices(&self) -> Result<()> {
        let mut names = BTreeSet::new();
        for device in &self.devices {
            ensure!(names.insert(&device.name), "two devices are named {}", device.name);
            let spec = spec(&device.driver).with_context(|| format!("device {}", device.name))?;
            let link = crate::link::Link::parse(&device.link).with_context(|| format!("device {}", device.name))?;
            ensure!(
                spec.links.contains(&link.kind(spec)),
                "device {}: driver {} does not work over link {:?}; it takes {:?}",
                device.name,
                spec.name,
                device.link,
                spec.links
            );
            let private = spec.caps.contains(&drivers::Cap::Cards) || matches!(spec.kind, drivers::Kind::Vision);
            ensure!(
                !(matches!(link, crate::link::Link::Record(..)) && private),
                "device {}: what a card terminal or a camera says is not recorded",
                device.name
            );
            // A name can be made to lead elsewhere; behind TLS the certificate says who it is.
            let named = matches!(&link, crate::link::Link::Tcp(address) if address.parse::<SocketAddr>().is_err());
            ensure!(
                !(named && spec.caps.contains(&drivers::Cap::Cards)),
                "device {}: a card terminal is reached by its address, such as tcp:192.0.2.20:20007, never by a name",
                device.name
            );
            if let Err(wrong) = (spec.build)(&spec.options_for(device.model.as_deref(), &device.options)) {
                bail!("device {}: {wrong}", device.name);
            }
        }
        Ok(())
    }

    fn check_lanes(&self) -> Result<()> {
        let mut numbers = BTreeSet::new();
        let mut cameras = BTreeSet::new();
        for lane in &self.lanes {
            let own = lane.camera.as_ref().is_none_or(|camera| cameras.insert(camera));
            ensure!(own, "lane {}: its camera scans for another lane; give each a [[device]] of its own", lane.number);
            ensure!(numbers.insert(lane.number), "two lanes have number {}", lane.number);
            for (kind, name) in self.lane(lane).devices() {
                let known = self.devices.iter().find(|device| device.name == *name);
                let device = known.with_context(|| format!("lane {}: there is no device {name}", lane.number))?;
                let is = format!("{:?}", spec(&device.driver)?.kind).to_lowercase();
                ensure!(is == kind, "lane {}: {name} is a {is}, not a {kind}", lane.number);
            }
        }
        Ok(())
    }

    fn lane(&self, lane: &Lane) -> LaneConfig {
        LaneConfig {
            lane: LaneId(lane.number),
            kind: lane.kind,
            scanners: lane.scanners.clone(),
            scale: lane.scale.clone(),
            bagging: lane.bagging.clone(),
            terminal: lane.terminal.clone(),
            gives_back: self.gives_back(lane),
            printer: lane.printer.clone(),
            vision: lane.vision.clone(),
            camera: lane.camera.clone(),
            display: lane.display.clone(),
            light: lane.light.clone(),
        }
    }

    fn gives_back(&self, lane: &Lane) -> GivesBack {
        let terminal = self.devices.iter().find(|device| Some(&device.name) == lane.terminal.as_ref());
        let caps = terminal.and_then(|device| spec(&device.driver).ok()).map_or(&[][..], |spec| spec.caps);
        GivesBack { refund: caps.contains(&drivers::Cap::Refund), reverse: caps.contains(&drivers::Cap::Reverse) }
    }

    /// # Errors
    /// A key file that was named and is none.
    pub fn coupon_key(&self) -> Result<Option<CouponKey>> {
        CouponKey::find(self.coupons.key_file.as_deref()).context("[coupons]")
    }

    /// What the store's clock goes by.
    ///
    /// # Errors
    /// Neither or both of the two ways to say it.
    pub fn zone(&self) -> Result<Zone> {
        match (&self.store.time_zone, self.store.utc_offset_min) {
            (Some(zone), None) => Ok(zone.clone()),
            (None, Some(minutes)) => {
                Zone::fixed(minutes).with_context(|| format!("[store] utc_offset_min = {minutes}: no clock goes so"))
            }
            (None, None) | (Some(_), Some(_)) => {
                bail!("[store] wants one of time_zone = \"Europe/Zurich\" and utc_offset_min = 480")
            }
        }
    }

    /// The same store for practice: its own journal, its own transaction ids, no terminal and no headquarters.
    #[must_use]
    pub fn for_training(mut self) -> Self {
        self.training = true;
        self.hq = None;
        self.backup = None;
        self.box_id += "-training";
        for lane in &mut self.lanes {
            lane.terminal = None;
        }
        self.devices.retain(|device| spec(&device.driver).is_ok_and(|spec| spec.kind != drivers::Kind::Terminal));
        self
    }

    /// Where the facts are kept.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.data.join(if self.training { "training.db" } else { "journal.db" })
    }

    /// The part the core decides with.
    ///
    /// # Errors
    /// An unknown currency or country, rules of prices that are none.
    pub fn store(&self) -> Result<StoreConfig> {
        let currency = currency(&self.store.currency)?;
        Ok(StoreConfig {
            box_id: self.box_id.clone(),
            store: self.store.name.clone(),
            currency: currency.clone(),
            utc_offset_min: self.zone()?.at(crate::clock::utc()).0,
            scan: ScanRules {
                templates: self.store.codes.clone(),
                currency: Some(currency),
                links: self.store.links,
                freshness: FreshnessRules { best_before_grace_days: self.store.best_before_grace_days },
            },
            floor: self.floor.clone(),
            price: self.store.price_rules()?,
            lanes: self.lanes.iter().map(|lane| self.lane(lane)).collect(),
            till: TillRules {
                shifts: self.till.shifts,
                idle_reset_ms: self.till.idle_reset_s.map(|seconds| u64::from(seconds) * 1000),
                training: self.training,
            },
            staff: self.staff.iter().map(Staff::config).collect(),
        })
    }
}

/// The registry's row for a driver name.
///
/// # Errors
/// Lists the drivers there are.
pub fn spec(driver: &str) -> Result<&'static drivers::Spec> {
    let names: Vec<&str> = drivers::DRIVERS.iter().map(|spec| spec.name).collect();
    let found = drivers::DRIVERS.iter().find(|spec| spec.name == driver);
    found.with_context(|| format!("there is no driver {driver:?}; there are {}", names.join(", ")))
}

/// Code, ISO 4217 number, sign, digits after the point.
const CURRENCIES: &[(&str, u16, &str, u8)] = &[
    ("CNY", 156, "￥", 2),
    ("EUR", 978, "€", 2),
    ("CHF", 756, "CHF ", 2),
    ("JPY", 392, "￥", 0),
    ("USD", 840, "$", 2),
];

fn currency(code: &str) -> Result<Currency> {
    let known: Vec<&str> = CURRENCIES.iter().map(|(code, ..)| *code).collect();
    let found = CURRENCIES.iter().find(|(name, ..)| *name == code);
    let (code, numeric, sign, digits) =
        found.with_context(|| format!("currency {code:?} is not known; there are {}", known.join(", ")))?;
    Ok(Currency { code: (*code).into(), numeric: *numeric, sign: (*sign).into(), digits: *digits })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
box = "b1"
tenant = "demo"
data = "data"
store = { name = { zh = "店", en = "Store" }, currency = "CNY", utc_offset_min = 480 }
http = { listen = "127.0.0.1:0" }
[[device]]
name = "scanner-1"
driver = "scanner-line"
link = "serial:/dev/ttyACM0"
[[lane]]
number = 1
kind = "kiosk"
scanners = ["scanner-1"]
"#;

    #[test]
    fn a_small_configuration_is_read() {
        let config = Config::parse(SMALL).unwrap();
        assert_eq!(config.store().unwrap().lanes.len(), 1);
        let zurich = SMALL.replacen("utc_offset_min = 480", "time_zone = \"Europe/Zurich\"", 1);
        assert_eq!(Config::parse(&zurich).unwrap().zone().unwrap(), Zone::named("Europe/Zurich").unwrap());
    }

    #[test]
    fn a_camera_scans_for_one_lane_and_a_hand_scanner_is_none() {
        let camera = "[[device]]\nname = \"camera-1\"\ndriver = \"scanner-camera\"\nlink = \"unix:/run/vision.sock\"\n";
        let lane = |number, camera| format!("[[lane]]\nnumber = {number}\nkind = \"kiosk\"\ncamera = \"{camera}\"\n");
        let parse = |lanes: &str| Config::parse(&format!("{SMALL}{lanes}{camera}"));
        let config = parse(&lane(2, "camera-1")).unwrap().store().unwrap();
        assert_eq!(config.lanes[1].camera, Some("camera-1".into()));
        let twice = parse(&(lane(2, "camera-1") + &lane(3, "camera-1"))).unwrap_err();
        assert!(twice.to_string().contains("lane 3"), "{twice}");
        let other = parse(&lane(2, "scanner-1")).unwrap_err();
        assert!(other.to_string().contains("is a scanner, not a camera"), "{other}");
    }

    #[test]
    fn b17_a_store_whose_faces_could_pay_too_easily_does_not_start() {
        let with = |face: &str| Config::parse(&format!("{SMALL}\n[floor.face]\n{face}"));
        for good in ["", "pay = true", "pay = true\ncamera = \"infrared\"\ntap_up_to = 5000\npin_up_to = 50000"] {
            with(good).unwrap();
        }
        for (bad, told) in [
            ("pay = true\ntap_up_to = 1", "colours only"),
            ("camera = \"rgb\"\ntap_up_to = 5000", "colours only"),
            ("camera = \"depth\"\ntap_up_to = 5000\npin_up_to = 100", "tap_up_to <= pin_up_to"),
            // There is no key that turns the detection of attacks off.
            ("liveness = false", "unknown field"),
            ("pad = false", "unknown field"),
        ] {
            let error = format!("{:#}", with(bad).unwrap_err());
            assert!(error.contains(told), "{bad}: {error}");
        }
    }

    #[test]
    fn every_drivers_example_can_stand_in_a_configuration() {
        for spec in drivers::DRIVERS {
            let example = spec.example.replacen("name = \"", "name = \"another-", 1);
            let parsed = Config::parse(&SMALL.replacen("[[lane]]", &format!("[[device]]\n{example}\n[[lane]]"), 1));
            assert!(parsed.is_ok(), "{}: {:#}", spec.name, parsed.expect_err("it is refused"));
        }
    }

    #[test]
    fn a_card_terminal_is_reached_by_address_or_wire_never_by_name() {
        let with = |link: &str| {
            let options = r#"options = { password = "000000", currency = 156 }"#;
            let device =
                format!("[[device]]\nname = \"t-1\"\ndriver = \"zvt\"\nlink = \"{link}\"\n{options}\n[[lane]]");
            Config::parse(&SMALL.replacen("[[lane]]", &device, 1))
        };
        assert!(with("tcp:192.0.2.20:20007").is_ok());
        let refused = with("tcp:terminal.shop.example:20007").expect_err("a name leads anywhere");
        assert!(format!("{refused:#}").contains("never by a name"), "{refused:#}");
    }

    #[test]
    fn each_mistake_is_told_with_its_place() {
        for (from, to, told) in [
            ("tenant = ", "tennant = ", "line 3"),
            ("scanner-line", "scaner", "scanner-line"),
            ("scanners = [\"scanner-1\"]", "scanners = [\"scanner-2\"]", "no device scanner-2"),
            ("scanners = [\"scanner-1\"]", "printer = \"scanner-1\"", "is a scanner, not a printer"),
            ("\"CNY\"", "\"QQQ\"", "CNY, EUR"),
            ("serial:/dev", "serail:/dev", "serial:"),
            ("box = \"b1\"", "box = \"b/1\"", "letters, digits"),
            ("utc_offset_min = 480", "time_zone = \"Europe/Zurick\"", "line 5"),
            ("utc_offset_min = 480", "time_zone = \"Asia/Shanghai\", utc_offset_min = 480", "wants one of"),
            ("utc_offset_min = 480", "codes = []", "wants one of"),
        ] {
            let error = format!("{:#}", Config::parse(&SMALL.replacen(from, to, 1)).unwrap_err());
            assert!(error.contains(told), "{to}: {error}");
        }
    }
}
