//! SQLite's way to a [`Disk`]: its VFS and file methods, filled with what the model answers.
//!
//! The one place of the tests with `unsafe`: SQLite's interface to a disk is a table of C functions over raw pointers, and no
//! safe form of it exists that can be told to lose power. Nothing here decides anything; the model behind it is safe code.
//!
//! What every block relies on is SQLite's contract (sqlite.org/c3ref/vfs.html, .../io_methods.html): a name is a NUL-terminated
//! string or null; a file is memory of `szOsFile` bytes which `xOpen` fills and nobody else moves, and its methods are called
//! only between a successful `xOpen` and `xClose`; buffers are as long as their stated count; what is written to "out" is ours
//! to write for as long as the call lasts. The VFS is registered once and lives as long as the program.
#![expect(unsafe_code, reason = "a SQLite VFS is a table of C functions over raw pointers")]

use crate::disk::{Code, Disk, Opened};
use crate::locks::REGION;
use rusqlite::{Connection, OpenFlags, ffi};
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};

const NAME: &CStr = c"aisle-fails";
/// What the unix VFS says (`SQLITE_DEFAULT_SECTOR_SIZE`).
const SECTOR: c_int = 4096;
const PATH_MAX: c_int = 512;

static DISKS: Mutex<BTreeMap<u64, Arc<Disk>>> = Mutex::new(BTreeMap::new());
static MOUNTED: AtomicU64 = AtomicU64::new(0);
static REGISTERED: Once = Once::new();

/// A disk that connections can be opened on.
#[derive(Debug)]
pub struct Mount {
    number: u64,
    disk: Arc<Disk>,
}

impl Mount {
    pub fn new(disk: Disk) -> Self {
        REGISTERED.call_once(register);
        let (number, disk) = (MOUNTED.fetch_add(1, Ordering::Relaxed), Arc::new(disk));
        DISKS.lock().expect("nobody panics with the list").insert(number, Arc::clone(&disk));
        Self { number, disk }
    }

    pub fn path(&self) -> PathBuf {
        format!("/{}/journal.db", self.number).into()
    }

    /// The journal's file; as `Connection::open` does, but for the disk.
    pub fn connect(&self) -> rusqlite::Result<Connection> {
        Connection::open_with_flags_and_vfs(self.path(), OpenFlags::default(), NAME)
    }

    /// As the journal's `Reader` does.
    pub fn connect_read_only(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags_and_vfs(self.path(), flags, NAME)
    }
}

impl Deref for Mount {
    type Target = Disk;

    fn deref(&self) -> &Disk {
        &self.disk
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        DISKS.lock().expect("nobody panics with the list").remove(&self.number);
    }
}

/// The same connection once more, to weaken it behind its owner's back. It must be dropped before `db` is used up.
pub fn beside(db: &Connection) -> Connection {
    // SAFETY: the second `Connection` does not own the handle, and callers here drop it while the first is alive and on the
    // same thread.
    unsafe { Connection::from_handle(db.handle()) }.expect("an open connection")
}

/// What `xOpen` makes of SQLite's memory. SQLite knows the first field only.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    open: *mut Open,
}

struct Open {
    disk: Arc<Disk>,
    file: Opened,
    /// The next sync is the first since a journal or WAL was opened: its folder is synced with it.
    names: AtomicBool,
    delete: Option<String>,
}

fn register() {
    let vfs = Box::leak(Box::new(ffi::sqlite3_vfs {
        iVersion: 1,
        szOsFile: size_of::<File>() as c_int,
        mxPathname: PATH_MAX,
        pNext: std::ptr::null_mut(),
        zName: NAME.as_ptr(),
        pAppData: std::ptr::null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_path),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: Some(last_error),
        xCurrentTimeInt64: None,
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }));
    // SAFETY: `vfs` is whole and leaked, so it lives as long as the program; 0 keeps the default VFS the default.
    let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
    assert_eq!(code, ffi::SQLITE_OK, "SQLite takes another VFS");
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

fn code(result: Result<(), Code>) -> c_int {
    result.err().unwrap_or(ffi::SQLITE_OK)
}

fn size(number: impl TryInto<usize>) -> usize {
    number.try_into().unwrap_or_else(|_| panic!("SQLite asks for less than nothing"))
}

/// The disk that `/number/…` is on, and the name there.
///
/// # Safety
/// `name` is a NUL-terminated string.
unsafe fn on_disk(name: *const c_char) -> (Arc<Disk>, String) {
    // SAFETY: as above.
    let name = unsafe { CStr::from_ptr(name) }.to_str().expect("our paths are ASCII");
    let (number, name) = name.trim_start_matches('/').split_once('/').expect("a path of a mount");
    let number: u64 = number.parse().expect("a mount's number");
    let disks = DISKS.lock().expect("nobody panics with the list");
    (Arc::clone(disks.get(&number).expect("the disk is mounted")), name.into())
}

/// # Safety
/// `file` was filled by [`open`] and not closed, and the reference is not kept beyond the call.
unsafe fn opened<'call>(file: *mut ffi::sqlite3_file) -> &'call Open {
    // SAFETY: `open` put a `File` there, whose `open` is a box that only `close` takes back.
    unsafe { &*(*file.cast::<File>()).open }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives `szOsFile` bytes; without methods it never closes what was not opened.
    unsafe { (*file).pMethods = std::ptr::null() };
    // A temporary file has no name; it may go to any disk, and to one of its own for simplicity.
    let (disk, name) = if name.is_null() {
        (Arc::new(Disk::new(0)), None)
    } else {
        // SAFETY: a name that is not null is a NUL-terminated string.
        let (disk, name) = unsafe { on_disk(name) };
        (disk, Some(name))
    };
    let create = flags & ffi::SQLITE_OPEN_CREATE != 0;
    let kinds = ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;
    let opened = match disk.open(name.as_deref(), create) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let names = AtomicBool::new(create && flags & kinds != 0);
    let delete = name.filter(|_| flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0);
    let open = Box::into_raw(Box::new(Open { disk, file: opened, names, delete }));
    // SAFETY: the memory is large enough and aligned for a `File`, and `out` is null or ours to write.
    unsafe {
        file.cast::<File>().write(File { base: ffi::sqlite3_file { pMethods: &raw const METHODS }, open });
        if !out.is_null() {
            *out = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `open` made this box, and SQLite closes a file once.
    let open = unsafe { Box::from_raw((*file.cast::<File>()).open) };
    open.disk.close(open.file);
    if let Some(name) = &open.delete {
        let _ = open.disk.delete(name, false);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, count: c_int, at: i64) -> c_int {
    // SAFETY: `into` is `count` bytes of SQLite's for this call; zeroing first makes them initialised.
    let (open, into) = unsafe {
        into.cast::<u8>().write_bytes(0, size(count));
        (opened(file), std::slice::from_raw_parts_mut(into.cast::<u8>(), size(count)))
    };
    match open.disk.read(open.file, size(at), into) {
        Ok(read) if read == into.len() => ffi::SQLITE_OK,
        Ok(_) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(code) => code,
    }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, count: c_int, at: i64) -> c_int {
    // SAFETY: `from` is `count` bytes that SQLite leaves alone during this call.
    let (open, bytes) = unsafe { (opened(file), std::slice::from_raw_parts(from.cast::<u8>(), size(count))) };
    code(open.disk.write(open.file, size(at), bytes))
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, to: i64) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    code(open.disk.resize(open.file, size(to)))
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    let done = open.disk.sync(open.file, open.names.load(Ordering::Relaxed));
    if done.is_ok() {
        open.names.store(false, Ordering::Relaxed);
    }
    code(done)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    match open.disk.size(open.file) {
        Ok(size) => {
            // SAFETY: `out` is ours to write.
            unsafe { *out = i64::try_from(size).expect("small") };
            ffi::SQLITE_OK
        }
        Err(code) => code,
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    code(open.disk.lock(open.file, level))
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    open.disk.unlock(open.file, level);
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    match open.disk.is_reserved(open.file) {
        Ok(reserved) => {
            // SAFETY: `out` is ours to write.
            unsafe { *out = c_int::from(reserved) };
            ffi::SQLITE_OK
        }
        Err(code) => code,
    }
}

unsafe extern "C" fn control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    SECTOR
}

/// As the unix VFS: bytes beside those written stay.
unsafe extern "C" fn characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    number: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    assert_eq!(size(bytes), REGION, "the WAL index comes in regions of this size");
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    let (region, code) = match open.disk.map(open.file, size(number), extend != 0) {
        Ok(region) => (region.unwrap_or(std::ptr::null_mut()), ffi::SQLITE_OK),
        Err(code) => (std::ptr::null_mut(), code),
    };
    // SAFETY: `out` is ours to write. The region is `REGION` bytes of atomics, which may be written through a pointer, and
    // lives until the last connection unmaps; SQLite uses none of it after that.
    unsafe { *out = region.cast() };
    code
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, first: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    let slots = size(first)..size(first + count);
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        open.disk.map_unlock(open.file, slots);
        return ffi::SQLITE_OK;
    }
    code(open.disk.map_lock(open.file, slots, flags & ffi::SQLITE_SHM_EXCLUSIVE != 0))
}

unsafe extern "C" fn shm_barrier(_: *mut ffi::sqlite3_file) {
    std::sync::atomic::fence(Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: an open file.
    let open = unsafe { opened(file) };
    open.disk.unmap(open.file);
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, names: c_int) -> c_int {
    // SAFETY: a NUL-terminated string.
    let (disk, name) = unsafe { on_disk(name) };
    code(disk.delete(&name, names != 0))
}

unsafe extern "C" fn access(_: *mut ffi::sqlite3_vfs, name: *const c_char, _: c_int, out: *mut c_int) -> c_int {
    // SAFETY: a NUL-terminated string.
    let (disk, name) = unsafe { on_disk(name) };
    match disk.exists(&name) {
        Ok(exists) => {
            // SAFETY: `out` is ours to write.
            unsafe { *out = c_int::from(exists) };
            ffi::SQLITE_OK
        }
        Err(code) => code,
    }
}

/// Our paths are whole already.
unsafe extern "C" fn full_path(_: *mut ffi::sqlite3_vfs, name: *const c_char, room: c_int, out: *mut c_char) -> c_int {
    // SAFETY: `name` is a NUL-terminated string, and `out` has room for `room` bytes, more than are copied.
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > size(room) {
            return ffi::SQLITE_CANTOPEN;
        }
        out.copy_from_nonoverlapping(bytes.as_ptr().cast(), bytes.len());
    }
    ffi::SQLITE_OK
}

/// SQLite asks the default VFS; this one has none to give.
unsafe extern "C" fn randomness(_: *mut ffi::sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    0
}

/// Nobody else could let go of a lock meanwhile.
unsafe extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, micros: c_int) -> c_int {
    micros
}

unsafe extern "C" fn current_time(_: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: `out` is ours to write. A Julian day of 2026.
    unsafe { *out = 2_461_000.5 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn last_error(_: *mut ffi::sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    0
}
