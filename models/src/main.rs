//! Face recognition of a store box, in its own process.

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use anyhow::{Context, bail, ensure};
use clap::{Parser, Subcommand};
use drivers::vision::{Age, Channel, Consent};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use models::camera::identity;
use models::detect::{SCORE_MIN, Size};
use models::gallery::{Gallery, KEY_LENGTH, Retention};
use models::image::Frame;
use models::manifest::{self, Models, Trust};
use models::model::Network;
use models::serve::{Equipment, serve};
use models::session::{Ended, FRAMES_WANTED, Gathered};
use models::source::{Source, list};
use models::{Look, Pipeline, eval, install};

/// A frame leaves copies in decoders and in the inference library; whatever is freed is overwritten first.
#[global_allocator]
static MEMORY: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// Recognises members by face, with their consent. Frames stay in memory; templates stay encrypted.
#[derive(Parser)]
#[command(name = "aisle-vision", version)]
struct Arguments {
    /// Folder of the installed models; else $AISLE_MODELS, else models/installed.
    #[arg(long, global = true)]
    models: Option<PathBuf>,
    /// The file with the public key that the models' manifest is signed with; else $CREDENTIALS_DIRECTORY/models.pub, if
    /// there is one, else the key of this release.
    #[arg(long, global = true)]
    trust: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the vision socket.
    Run(RunOptions),
    /// Print the cameras of this box, one JSON line each, with the source that names model and socket.
    Cameras,
    /// Check and convert the publishers' models, downloading them unless --from names a folder.
    Install {
        #[arg(long)]
        from: Option<PathBuf>,
        /// Where to put them; the folder they are loaded from unless given.
        #[arg(long)]
        to: Option<PathBuf>,
    },
    /// Print what is known about each model, one JSON line each: purpose, licence, training, card, calibration, and whether it
    /// is there.
    Models,
    /// Sign the manifest beside the models, after reading it, with a key as `keygen` makes it, and print the public key.
    Sign {
        #[arg(long)]
        key: PathBuf,
    },
    /// Make the store's key, unless the file exists.
    Keygen {
        #[arg(long)]
        key: PathBuf,
    },
    /// Turn and seal every template anew, so that copies made before are of no use; nobody enrols again.
    Rekey {
        #[arg(long)]
        gallery: PathBuf,
        #[arg(long)]
        key: Option<PathBuf>,
        /// Under this key from now on; put it in the old one's place when this is done.
        #[arg(long)]
        new_key: Option<PathBuf>,
    },
    /// Copy the gallery without the keys of its members: only beside those it opens anything.
    Backup {
        #[arg(long)]
        gallery: PathBuf,
        #[arg(long)]
        key: Option<PathBuf>,
        #[arg(long)]
        to: PathBuf,
    },
    /// Enrol a member from photographs, at least three.
    Enrol {
        #[arg(long)]
        gallery: PathBuf,
        #[arg(long)]
        key: Option<PathBuf>,
        #[arg(long)]
        member: String,
        /// Version of the text the member agreed to.
        #[arg(long)]
        consent_version: String,
        /// The text itself; its hash is kept with the consent.
        #[arg(long)]
        consent_text: PathBuf,
        /// The member is under fourteen: the number of the form a guardian signed.
        #[arg(long, value_name = "NUMBER")]
        guardian: Option<String>,
        #[arg(long, default_value = "identify me at the checkout by my face")]
        consent_purpose: String,
        /// Folders, lists or photographs.
        #[arg(long, required = true, num_args = 1..)]
        images: Vec<PathBuf>,
    },
    /// Measure how often people are confused, missed or forged, on photographs of your own.
    Eval(eval::Options),
    /// Print what photographs show, one JSON line each, and who it is if a gallery is given.
    Identify {
        #[arg(long)]
        gallery: Option<PathBuf>,
        #[arg(long)]
        key: Option<PathBuf>,
        #[arg(long, required = true, num_args = 1..)]
        images: Vec<PathBuf>,
    },
}

#[derive(clap::Args)]
struct RunOptions {
    #[arg(long)]
    socket: PathBuf,
    /// file:FOLDER, file:LIST, camera:/dev/v4l/by-id/…?usb=…&port=…, or rtsp://…
    #[arg(long)]
    source: Source,
    #[arg(long)]
    gallery: PathBuf,
    /// The store's key; else $CREDENTIALS_DIRECTORY/gallery.key.
    #[arg(long)]
    key: Option<PathBuf>,
    /// The file with `user:password` of a network camera; else $CREDENTIALS_DIRECTORY/camera.login, if there is one.
    #[arg(long)]
    camera_login: Option<PathBuf>,
    /// Days after which a template that nobody was recognised by is erased; three years at most.
    #[arg(long, default_value_t = 365)]
    idle_days: u16,
    /// Days after which a template of a recogniser that was swapped out is erased, counted from its last use.
    #[arg(long, default_value_t = 90)]
    stale_days: u16,
    /// Do not start unless the calibration can vouch for so many members in one search. A larger gallery is searched only
    /// among members who are named, 500 at most.
    #[arg(long, default_value_t = 500)]
    members: usize,
    /// A second camera that sees infrared light, with a lamp of its own: a face it does not see as well is not live.
    #[arg(long)]
    infrared: Option<Source>,
    /// Ask whoever is looked at to turn the head, to a side nobody knows before.
    #[arg(long)]
    challenge: bool,
    /// For demonstrations: clients choose the photographs, and a missing key is made.
    #[arg(long)]
    demo_source: bool,
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("AISLE_LOG");
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| "info,tract_core=warn,tract_onnx=warn".into()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let Arguments { models, trust, command } = Arguments::parse();
    let models = models
        .or_else(|| std::env::var_os("AISLE_MODELS").map(PathBuf::from))
        .unwrap_or_else(|| "models/installed".into());
    match perform(&Place { folder: models, trust }, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("aisle-vision: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Where the models are, and whom to believe which ones they are.
struct Place {
    folder: PathBuf,
    trust: Option<PathBuf>,
}

impl Place {
    fn open(&self) -> anyhow::Result<Models> {
        let named = self.trust.clone().or_else(|| credential("models.pub").filter(|file| file.exists()));
        let trust = match named {
            Some(file) => {
                let key = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
                key.parse().map_err(anyhow::Error::msg).with_context(|| format!("in {}", file.display()))?
            }
            None => Trust::default(),
        };
        Ok(Models::open(&self.folder, &trust)?)
    }

    fn pipeline(&self) -> anyhow::Result<Pipeline> {
        Ok(Pipeline::load(&self.open()?)?)
    }

    fn gallery(&self, path: &Path, key: &Path) -> anyhow::Result<Gallery> {
        open_gallery(path, key, &self.open()?)
    }
}

fn perform(place: &Place, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(options) => run(place, options),
        Command::Cameras => cameras(Path::new("/sys")),
        Command::Install { from, to } => {
            let folder = to.unwrap_or_else(|| place.folder.clone());
            install::install(&Place { folder, trust: place.trust.clone() }.open()?, from.as_deref())
        }
        Command::Models => cards(&place.open()?),
        Command::Sign { key } => sign(&place.folder, &key),
        Command::Keygen { key } => make_key(&key),
        Command::Rekey { gallery, key, new_key } => {
            let mut gallery = place.gallery(&gallery, &key_path(key)?)?;
            let new_key = new_key.as_deref().map(read_key).transpose()?;
            let epoch = gallery.rekey(new_key.as_ref())?;
            print_line(&json!({"rekeyed": {"epoch": epoch, "members": gallery.len()}}))
        }
        Command::Backup { gallery, key, to } => {
            ensure!(!to.exists(), "{} exists: a backup is never written over another", to.display());
            Ok(place.gallery(&gallery, &key_path(key)?)?.backup(&to)?)
        }
        Command::Enrol { gallery, key, member, consent_version, consent_text, guardian, consent_purpose, images } => {
            let consent = consent(consent_purpose, consent_version, &consent_text, guardian)?;
            let gallery = place.gallery(&gallery, &key_path(key)?)?;
            enrol(&place.pipeline()?, gallery, &member, &consent, &images)
        }
        Command::Eval(options) => {
            let mut pipeline = place.pipeline()?;
            // Each core has a photograph of its own.
            pipeline.set_threads(1);
            eval::run(&pipeline, &options)
        }
        Command::Identify { gallery, key, images } => {
            let gallery = match gallery {
                Some(path) => Some(place.gallery(&path, &key_path(key)?)?),
                None => None,
            };
            identify(&place.pipeline()?, gallery.as_ref(), &images)
        }
    }
}

fn run(place: &Place, options: RunOptions) -> anyhow::Result<()> {
    let login = options.camera_login.or_else(|| credential("camera.login").filter(|file| file.exists()));
    let source = options.source.with_login(login);
    let retention = Retention::of(options.idle_days)
        .with_context(|| format!("--idle-days is 1 to {}: a face is not kept longer", Retention::IDLE_DAYS_MAX))?
        .stale_after(options.stale_days);
    let models = place.open()?;
    models.manifest().recogniser.vouches_for(options.members).context("not started for --members")?;
    if let Some(infrared) = &options.infrared {
        infrared.may_see_faces().context("not started with --infrared")?;
    }
    let key = key_path(options.key)?;
    if options.demo_source {
        make_key(&key)?;
    }
    let gallery = open_gallery(&options.gallery, &key, &models)?;
    let listener = listen(&options.socket)?;
    tracing::info!(socket = %options.socket.display(), %source, members = gallery.len(), "serving");
    if let Some(advice) = source.advice() {
        tracing::warn!("{advice}");
    }
    if options.infrared.is_none() {
        tracing::info!("this camera sees colours only: a face identifies, and paying asks for a PIN");
    }
    let (infrared, challenge, demo) = (options.infrared, options.challenge, options.demo_source);
    serve(listener, Equipment { models, gallery, retention, source, infrared, challenge, demo })
}

fn credential(name: &str) -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(|dir| PathBuf::from(dir).join(name))
}

fn key_path(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    given
        .or_else(|| credential("gallery.key"))
        .context("no key: pass --key FILE, or start under systemd with the credential gallery.key")
}

fn make_key(path: &Path) -> anyhow::Result<()> {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    SystemRandom::new().fill(key.as_mut_slice()).map_err(|_| anyhow::anyhow!("the system gave no random bytes"))?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match file.and_then(|mut file| file.write_all(key.as_slice()).and_then(|()| file.sync_all())) {
        Ok(()) => {
            tracing::info!(key = %path.display(), "made a key; without it the gallery cannot be read")
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            tracing::info!(key = %path.display(), "the key exists and stays");
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot write key {}", path.display()));
        }
    }
    Ok(())
}

fn consent(purpose: String, text_version: String, text: &Path, guardian: Option<String>) -> anyhow::Result<Consent> {
    let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock is before 1970")?;
    let text = std::fs::read(text).with_context(|| format!("cannot read the text {}", text.display()))?;
    Ok(Consent {
        purpose,
        text_version,
        text_sha256: hex(&text),
        at_utc_ms: i64::try_from(at.as_millis()).context("the clock is beyond reason")?,
        channel: Channel::Staff,
        until_utc_ms: None,
        age: if guardian.is_some() { Age::UnderFourteen } else { Age::FourteenOrOver },
        guardian,
    })
}

fn hex(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn open_gallery(path: &Path, key: &Path, models: &Models) -> anyhow::Result<Gallery> {
    let store_key = read_key(key)?;
    let recogniser = models.manifest().recogniser.clone();
    Gallery::open_for(path, store_key, recogniser).with_context(|| format!("cannot open gallery {}", path.display()))
}

fn read_key(key: &Path) -> anyhow::Result<Zeroizing<[u8; KEY_LENGTH]>> {
    let name = key.display();
    let file = std::fs::metadata(key)
        .with_context(|| format!("cannot read key {name}; `aisle-vision keygen --key {name}` makes one"))?;
    ensure!(file.mode() & 0o077 == 0, "key {name} is readable by others; run `chmod 600 {name}`");
    ensure!(file.len() == KEY_LENGTH as u64, "key {name} has {} bytes instead of {KEY_LENGTH}", file.len());
    let bytes = Zeroizing::new(std::fs::read(key).with_context(|| format!("cannot read key {name}"))?);
    let mut store_key = Zeroizing::new([0; KEY_LENGTH]);
    store_key.copy_from_slice(&bytes);
    Ok(store_key)
}

/// Binds the socket, taking over one whose process is gone.
fn listen(path: &Path) -> anyhow::Result<UnixListener> {
    if let Ok(file) = std::fs::symlink_metadata(path) {
        ensure!(file.file_type().is_socket(), "{} exists and is not a socket", path.display());
        ensure!(UnixStream::connect(path).is_err(), "another process serves {}", path.display());
        std::fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))?;
    }
    let listener = UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))
        .context("cannot close the socket to others")?;
    Ok(listener)
}

fn cameras(sys: &Path) -> anyhow::Result<()> {
    let found = identity::cameras(sys).context("the kernel has no video device")?;
    for (name, found) in found {
        match found {
            Ok(camera) => print_line(&json!({"device": name, "source": format!("camera:/dev/{name}?{camera}")}))?,
            Err(refused) => print_line(&json!({"device": name, "refused": refused.to_string()}))?,
        }
    }
    Ok(())
}

fn cards(models: &Models) -> anyhow::Result<()> {
    for family in models.manifest().families() {
        let files = family.file.iter().map(|file| {
            let state =
                Network::load(models, &file.name).map_or_else(|error| error.to_string(), |_| "ready".to_owned());
            json!({"name": file.name, "sha256": file.sha256, "state": state})
        });
        let calibration = family
            .calibration
            .iter()
            .map(|point| json!({"fmr": point.fmr, "cosine": point.threshold, "fnmr": point.fnmr}));
        print_line(&json!({
            "id": family.id(), "purpose": family.purpose, "licence": family.licence, "trained_on": family.trained_on,
            "card": family.card, "files": files.collect::<Vec<_>>(), "calibration": calibration.collect::<Vec<_>>(),
        }))?;
    }
    Ok(())
}

fn sign(folder: &Path, key: &Path) -> anyhow::Result<()> {
    let (path, signature) = (folder.join(manifest::MANIFEST), folder.join(manifest::SIGNATURE));
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let signed = manifest::sign(&text, &*read_key(key)?).map_err(anyhow::Error::msg);
    let (hex, public) = signed.with_context(|| format!("{} is not signed", path.display()))?;
    std::fs::write(&signature, hex + "\n").with_context(|| format!("cannot write {}", signature.display()))?;
    print_line(&json!({"signed": path.display().to_string(), "public_key": public.to_string()}))
}

fn photographs(images: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in images {
        files.extend(list(path)?);
    }
    ensure!(!files.is_empty(), "no photographs in {}", images[0].display());
    Ok(files)
}

fn enrol(
    pipeline: &Pipeline,
    mut gallery: Gallery,
    member: &str,
    consent: &Consent,
    images: &[PathBuf],
) -> anyhow::Result<()> {
    let mut gathered = Gathered::default();
    for file in photographs(images)? {
        match Frame::read(&file) {
            Ok(frame) => drop(gathered.take(pipeline.look(&frame)?)),
            Err(error) => tracing::warn!("{error}"),
        }
    }
    let wanted = u8::try_from(FRAMES_WANTED).unwrap_or(u8::MAX);
    let template = match gathered.template(wanted) {
        Ok(template) => template,
        Err(reason) => bail!("not enrolled: {reason}"),
    };
    let frames = u8::try_from(gathered.usable()).unwrap_or(u8::MAX);
    gallery.enrol(member, consent, &template, frames)?;
    print_line(&json!({"enrolled": {"member": member, "frames": frames}}))
}

fn identify(pipeline: &Pipeline, gallery: Option<&Gallery>, images: &[PathBuf]) -> anyhow::Result<()> {
    let mut gathered = Gathered::default();
    for file in photographs(images)? {
        let name = file.display().to_string();
        let frame = match Frame::read(&file) {
            Ok(frame) => frame,
            Err(error) => {
                print_line(&json!({"file": name, "error": error.reason}))?;
                continue;
            }
        };
        let faces = pipeline.detector.detect(&frame, Size::Large640, SCORE_MIN)?;
        let bounds: Vec<_> = faces.iter().map(|face| json!({"score": face.score, "box": face.bounds})).collect();
        let start = Instant::now();
        let look = pipeline.look(&frame)?;
        let took_ms = start.elapsed().as_secs_f64() * 1e3;
        let seen = match &look {
            Look::NoFace => json!("no_face"),
            Look::Unusable(hint) => json!({ "unusable": hint }),
            Look::Usable(probe) => json!({"usable": {"live": probe.live}}),
        };
        print_line(&json!({"file": name, "faces": bounds, "look": seen, "took_ms": took_ms}))?;
        gathered.take(look);
    }
    let Some(gallery) = gallery else {
        return Ok(());
    };
    let everybody = gallery.search(None);
    let nearest = gathered.fused().and_then(|probe| everybody.nearest(&probe).first().map(|found| found.cosine));
    let outcome = gathered.conclude(Ended::SourceEnded, &everybody)?;
    print_line(&json!({
        "outcome": outcome, "frames": gathered.usable(), "live": gathered.live(),
        "nearest_cosine": nearest, "threshold": everybody.threshold()?,
    }))
}

fn print_line(line: &serde_json::Value) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("cannot print")
}
