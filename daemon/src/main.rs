//! The command `aisled`.

use aisled::config::Config;
use aisled::core_loop::Ended;
use aisled::identity::Identity;
use aisled::log_count::Counts;
use aisled::{
    backup, classify, client, decode, demo, export, http, journal, provision, restore, run, sim, sync, wire_trace,
};
use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// sysexits.h
const EX_USAGE: u8 = 64;
const EX_DATAERR: u8 = 65;
const EX_IOERR: u8 = 74;
const EX_TEMPFAIL: u8 = 75;
const EX_CONFIG: u8 = 78;

/// The daemon of a store box: sells at staffed lanes and kiosks, with the network up or down.
#[derive(Parser)]
#[command(version, after_help = "Try it:  aisled demo     then open the device panel it prints")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the store of a configuration until SIGTERM
    Run {
        #[arg(long, value_name = "FILE", default_value = "/etc/aisle/aisled.toml")]
        config: PathBuf,
        /// Log the bytes on device lines, card numbers masked
        #[arg(long)]
        trace_wire: bool,
        /// Practice: a journal of its own, no terminal, no headquarters; every page and paper says so
        #[arg(long)]
        training: bool,
    },
    /// A whole store and its headquarters on this machine, with stand-ins for every device
    Demo {
        /// One sale without a person, one line of JSON, the end
        #[arg(long)]
        once: bool,
        /// Use Debian's Mosquitto instead of the broker inside aisle-hq
        #[arg(long)]
        mosquitto: bool,
        /// Where the demo keeps its files; emptied at start
        #[arg(long, value_name = "DIR", default_value = "target/demo")]
        dir: PathBuf,
        /// Photographs the camera shows; $AISLE_FACES unless given
        #[arg(long, value_name = "DIR")]
        faces: Option<PathBuf>,
        /// Print the bytes on device lines, card numbers masked
        #[arg(long)]
        trace_wire: bool,
    },
    /// Make this box's key, show a code, and wait until headquarters has given it its certificate
    Provision {
        #[arg(long, value_name = "FILE", default_value = "/etc/aisle/aisled.toml")]
        config: PathBuf,
        /// The claim certificate the box came with
        #[arg(long, value_name = "FILE")]
        claim: PathBuf,
        #[arg(long, value_name = "FILE")]
        claim_key: PathBuf,
    },
    /// Read a configuration and say what is wrong with it
    Check {
        #[arg(long, value_name = "FILE", default_value = "/etc/aisle/aisled.toml")]
        config: PathBuf,
    },
    /// What the lanes of a running store show, as JSON
    Status {
        #[arg(long, value_name = "FILE", default_value = "/etc/aisle/aisled.toml")]
        config: PathBuf,
    },
    /// Check a journal, or what `aisled export` made of one; names the first row that is not as it was written
    #[command(after_help = "What the box signed, for rows missing at the end and a past written anew:\n\
                            aisle-hq heads store-1 --data DIR > heads; aisled verify journal.db --heads heads")]
    Verify {
        journal: PathBuf,
        #[arg(long, value_name = "FILE")]
        heads: Option<PathBuf>,
    },
    /// Write a journal as lines of JSON on standard output, a row a line, to be kept and verified anywhere
    Export { journal: PathBuf },
    /// Give a box its journal back: from a copy, or from the disk of the box it replaces
    #[command(after_help = "The newest copy of [backup] folder is taken where none is named. aisled must not run.")]
    Restore {
        #[arg(long, value_name = "FILE", default_value = "/etc/aisle/aisled.toml")]
        config: PathBuf,
        /// A copy, as [backup] makes them
        copy: Option<PathBuf>,
        /// The data folder of a dead box, to its last sale
        #[arg(long, value_name = "DIR", conflicts_with = "copy")]
        from_disk: Option<PathBuf>,
        /// Put aside the journal that is there
        #[arg(long)]
        replace: bool,
    },
    /// What a configuration keeps of a staff PIN
    Pin { pin: String },
    /// What scans mean: a scan a line on standard input, a JSON object a line on standard output
    #[command(after_help = "A line may begin with a symbology identifier (]C1…); FNC1 is byte 29 or ^.\n\
                            Try it:  echo ']C1010690123456789210A^17301231' | aisled classify")]
    Classify {
        /// Lines are hexadecimal
        #[arg(long)]
        hex: bool,
        /// As while a tender is open: wallet codes count
        #[arg(long)]
        paying: bool,
        /// An in-store code such as 21IIIIIWWWWWC; repeat for more
        #[arg(long, value_name = "TEMPLATE")]
        template: Vec<String>,
        /// The codes of this store's configuration
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// The device drivers, each with a configuration that works
    Drivers,
    /// The stand-in of a driver on a line of its own, until Ctrl-C; verbs as JSON, a line each, on standard input
    Sim {
        driver: String,
        /// `pty`, `pty:/path/to/appear/at`, `tcp:127.0.0.1:20007`
        #[arg(long, default_value = "pty")]
        link: String,
        /// As JSON, see the table of stand-ins in docs/DRIVERS.md
        #[arg(long, default_value = "null")]
        options: String,
    },
    /// Frames of a device, hexadecimal, a line each on standard input, to JSON
    Decode {
        driver: String,
        /// Draw what an ESC/POS printer makes of all frames together
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
        /// What the frame's grammar depends on, such as the running command of ZVT (0501)
        #[arg(long)]
        context: Option<String>,
    },
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(help) => {
            let _ = help.print();
            return if help.use_stderr() { ExitCode::from(EX_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let filter = EnvFilter::try_from_env("AISLE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr);
    log.finish().with(Counts).init();
    let (ended, code) = perform(cli.command);
    match ended {
        Ok(()) if code == EX_TEMPFAIL => ExitCode::from(code),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(code)
        }
    }
}

fn perform(command: Command) -> (Result<()>, u8) {
    match command {
        Command::Run { config, trace_wire, training } => {
            if trace_wire {
                wire_trace::switch_on();
            }
            match checked(&config) {
                Ok(own) => {
                    let own = if training { own.for_training() } else { own };
                    match guarded(&own, &config) {
                        Ok(Ended::Stopped) => (Ok(()), 0),
                        // Not a failure, but what `Restart=on-failure` starts again.
                        Ok(Ended::Again) => (Ok(()), EX_TEMPFAIL),
                        Err(error) => (Err(error), EX_IOERR),
                    }
                }
                Err(error) => (Err(error), EX_CONFIG),
            }
        }
        Command::Demo { once, mosquitto, dir, faces, trace_wire } => {
            let faces = faces.or_else(|| std::env::var_os("AISLE_FACES").map(PathBuf::from));
            (demo::run(&demo::Options { once, mosquitto, folder: dir, faces, trace_wire }), 1)
        }
        Command::Provision { config, claim, claim_key } => {
            let claim = Identity { cert: claim, key: claim_key };
            let paired = Config::read(&config).and_then(|config| provision::run(&config, &claim, say));
            (paired.map(drop), EX_IOERR)
        }
        Command::Check { config } => (checked(&config).map(|_| say("the configuration is good")), EX_CONFIG),
        Command::Status { config } => (status(&config), EX_IOERR),
        Command::Verify { journal, heads } => (verify(&journal, heads.as_deref()), EX_DATAERR),
        Command::Export { journal } => (exported(&journal), EX_IOERR),
        Command::Restore { config, copy, from_disk, replace } => {
            (restored(&config, copy, from_disk.as_deref(), replace), EX_IOERR)
        }
        Command::Pin { pin } => (http::pin::stored(&pin).map(|stored| say(&stored)), EX_IOERR),
        Command::Classify { hex, paying, template, config } => classified(hex, paying, template, config.as_deref()),
        Command::Drivers => {
            for spec in drivers::DRIVERS {
                say(&format!("# {} ({:?})\n[[device]]\n{}\n", spec.name, spec.kind, spec.example));
            }
            (Ok(()), 0)
        }
        Command::Decode { driver, svg, context } => {
            let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
            let told = match svg {
                Some(file) => decode::drawn(&driver, context.as_deref(), input, &file),
                None => decode::lines(&driver, context.as_deref(), input, output),
            };
            (told, EX_USAGE)
        }
        Command::Sim { driver, link, options } => (sim::stand_in(&driver, &link, &options), EX_USAGE),
    }
}

fn classified(hex: bool, paying: bool, templates: Vec<String>, config: Option<&Path>) -> (Result<()>, u8) {
    let store = config.map(|path| checked(path).and_then(|config| config.store())).transpose();
    let mut rules = match store {
        Ok(store) => store.map(|store| store.scan).unwrap_or_default(),
        Err(error) => return (Err(error), EX_CONFIG),
    };
    rules.templates.extend(templates);
    let options = classify::Options { hex, paying, rules };
    (classify::run(std::io::stdin().lock(), std::io::stdout().lock(), &options), EX_IOERR)
}

fn checked(path: &Path) -> Result<Config> {
    let config = Config::read(path)?;
    if let Some(hq) = &config.hq {
        sync::check(hq, &config.data)?;
    }
    http::pin::Desk::new(&config.staff)?;
    config.coupon_key()?;
    Ok(config)
}

/// A panic of the core must not leave a process that looks alive: the service manager starts a fresh one.
fn guarded(config: &Config, file: &Path) -> Result<Ended> {
    struct Abort;
    impl Drop for Abort {
        fn drop(&mut self) {
            if std::thread::panicking() {
                std::process::abort();
            }
        }
    }
    let _abort = Abort;
    run::run(config, file)
}

fn status(path: &Path) -> Result<()> {
    let config = Config::read(path)?;
    for lane in &config.lanes {
        let (_, view) = client::get(config.http.listen, &format!("/api/view/{}", lane.number))?;
        say(&view.to_string());
    }
    let (_, devices) = client::get(config.http.listen, "/api/devices")?;
    say(&devices.to_string());
    Ok(())
}

fn verify(path: &Path, heads: Option<&Path>) -> Result<()> {
    let heads = match heads {
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            export::Heads::read(&text).with_context(|| format!("heads {}", file.display()))?
        }
        None => export::Heads::default(),
    };
    let found = export::verify(path, &heads).with_context(|| format!("journal {}", path.display()))?;
    say(&format!("{} rows, every one follows from the one before; {} signed heads agree", found.rows, found.heads));
    Ok(())
}

fn exported(path: &Path) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    export::export(&journal::Reader::open(path)?, &mut out).with_context(|| format!("journal {}", path.display()))?;
    Ok(())
}

fn restored(path: &Path, copy: Option<PathBuf>, old: Option<&Path>, replace: bool) -> Result<()> {
    let config = Config::read(path)?;
    let newest = || config.backup.as_ref().and_then(|backup| backup::copies(&backup.folder).pop());
    let told = match (old, copy.or_else(newest)) {
        (Some(old), _) => restore::from_disk(&config.data, old, replace)?,
        (None, Some(copy)) => {
            say(&format!("restoring {}", copy.display()));
            restore::from_backup(&config.data, &copy, replace)?
        }
        (None, None) => anyhow::bail!("there is no copy: name one, or the folder of copies in [backup]"),
    };
    say(&format!("{} rows are back, {} of them not yet acknowledged by headquarters", told.rows, told.unsent));
    if told.lost > 0 {
        say(&format!("{} rows could not be read", told.lost));
    }
    if let Some(aside) = told.aside {
        say(&format!("the journal that was there is kept as {aside}"));
    }
    say(
        "at the next contact headquarters gives back the sales it has and this journal has not; receipt numbers go on behind them",
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the person at the terminal asked for")]
fn say(line: &str) {
    println!("{line}");
}
