//! Opening shared libraries and checking what they export.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;

use crate::abi::{self, KernelDescription};

/// An open library.
#[derive(Debug, Clone, Copy)]
pub struct Library {
    handle: *mut c_void,
}

/// A kernel of a library, checked.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Its name, as it names itself.
    pub name: String,
    /// `(BIGINT, DOUBLE) -> DOUBLE`.
    pub signature: String,
    /// What it does; may be empty.
    pub doc: String,
    pub(crate) description: KernelDescription,
}

#[cfg(unix)]
unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
}

const RTLD_NOW: c_int = 2;

type Describe = unsafe extern "C" fn() -> *const KernelDescription;
type DescribeAll = unsafe extern "C" fn() -> *const *const KernelDescription;

impl Library {
    /// Opens a library; it stays open for good.
    ///
    /// Failure: there is none, or it is not one. Its initialisers run: open only what is trusted.
    #[cfg(unix)]
    pub fn open(path: &Path) -> Result<Library, String> {
        use std::os::unix::ffi::OsStrExt;
        if !path.exists() {
            return Err(format!("library not found: {}", path.display()));
        }
        // With a path, so that no directory of the system is searched.
        let path = path.canonicalize().map_err(|e| format!("library cannot be opened: {}: {e}", path.display()))?;
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| "a path holds no zero byte".to_string())?;
        // SAFETY: the path is a string with a zero byte at its end. What the library does when it is loaded is its
        // own: the caller has been told.
        let handle = unsafe { dlopen(name.as_ptr(), RTLD_NOW) };
        if handle.is_null() {
            return Err(format!("library cannot be loaded: {}", last_error()));
        }
        Ok(Library { handle })
    }

    /// Opens a library.
    #[cfg(not(unix))]
    pub fn open(path: &Path) -> Result<Library, String> {
        Err(format!("native libraries are not supported on this system: {}", path.display()))
    }

    #[cfg(unix)]
    fn symbol(self, name: &str) -> Result<*mut c_void, String> {
        let name = CString::new(name).map_err(|_| "a symbol holds no zero byte".to_string())?;
        // SAFETY: the handle is that of an open library, the name a string with a zero byte at its end.
        let found = unsafe { dlsym(self.handle, name.as_ptr()) };
        if found.is_null() { Err(last_error()) } else { Ok(found) }
    }

    #[cfg(not(unix))]
    fn symbol(self, name: &str) -> Result<*mut c_void, String> {
        Err(name.to_string())
    }

    /// The kernel that the function `symbol` describes.
    ///
    /// Failure: no such symbol, a description of a newer major version, or one that lacks what it needs.
    pub fn kernel(self, symbol: &str) -> Result<Kernel, String> {
        let found = self.symbol(symbol).map_err(|why| format!("symbol not found: {symbol}: {why}"))?;
        // SAFETY: the contract says what a symbol that is named as a kernel is: a function without arguments that
        // returns a description, or null.
        let description = unsafe { std::mem::transmute::<*mut c_void, Describe>(found)() };
        check(description).map_err(|why| format!("{symbol}: {why}"))
    }

    /// All kernels that the library offers by `millstream_kernels`.
    pub fn kernels(self) -> Result<Vec<Kernel>, String> {
        let found = self.symbol("millstream_kernels");
        let found = found.map_err(|why| format!("the library does not offer kernels: millstream_kernels: {why}"))?;
        // SAFETY: the contract says what this symbol is: a function without arguments that returns a list of pointers
        // to descriptions, a null pointer last.
        let mut next = unsafe { std::mem::transmute::<*mut c_void, DescribeAll>(found)() };
        let mut kernels = Vec::new();
        if next.is_null() {
            return Ok(kernels);
        }
        loop {
            // SAFETY: the list ends with a null pointer, which is not passed.
            let description = unsafe { *next };
            if description.is_null() {
                return Ok(kernels);
            }
            kernels.push(check(description)?);
            // SAFETY: the pointer read was not the last.
            next = unsafe { next.add(1) };
        }
    }
}

#[cfg(unix)]
fn last_error() -> String {
    // SAFETY: the function may be called at any time; what it returns is null or a string that stays until the next call.
    let text = unsafe {
        let text = dlerror();
        if text.is_null() { None } else { Some(CStr::from_ptr(text).to_string_lossy().into_owned()) }
    };
    text.unwrap_or_else(|| "no reason is known".to_string())
}

/// Copies a description as far as it goes, and refuses what cannot be called.
fn check(description: *const KernelDescription) -> Result<Kernel, String> {
    if description.is_null() {
        return Err("there is no description".to_string());
    }
    // SAFETY: a description is not null and begins with these two numbers in every version.
    let (version, size) = unsafe { ((*description).abi_version, (*description).struct_size as usize) };
    let (major, minor) = (version >> 16, version & 0xffff);
    if major != abi::VERSION >> 16 {
        let ours = abi::VERSION >> 16;
        return Err(format!(
            "it was built for version {major}.{minor} of the kernel interface, and this engine speaks {ours}; \
             build it with the header of this engine"
        ));
    }
    let least = std::mem::offset_of!(KernelDescription, state_size);
    if size < least {
        return Err(format!("its description has {size} bytes, and {least} are needed"));
    }
    // SAFETY: all fields are numbers, pointers or optional functions, for which zero is a value.
    let mut copy: KernelDescription = unsafe { std::mem::zeroed() };
    let bytes = size.min(size_of::<KernelDescription>());
    // SAFETY: `bytes` lie in both; what an older description lacks stays null.
    unsafe {
        std::ptr::copy_nonoverlapping(description.cast::<u8>(), (&raw mut copy).cast::<u8>(), bytes);
    }
    let name = text(copy.name).ok_or("it has no name")?;
    let signature = text(copy.signature).ok_or_else(|| format!("{name} has no signature"))?;
    let is_aggregate = copy.init.is_some() && copy.update.is_some() && copy.merge.is_some() && copy.finish.is_some();
    if copy.evaluate.is_none() && !is_aggregate {
        return Err(format!("{name} has neither evaluate nor init, update, merge and finish"));
    }
    if copy.evaluate.is_none() && (copy.state_size == 0 || !copy.state_size.is_multiple_of(8)) {
        return Err(format!("{name} has states of {} bytes: a multiple of 8 is needed", copy.state_size));
    }
    Ok(Kernel { name, signature, doc: text(copy.doc).unwrap_or_default(), description: copy })
}

fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: texts of a description are strings with a zero byte at their end, there as long as the library.
    Some(unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}

impl Kernel {
    /// Whether it is an aggregate; else it is a scalar.
    pub fn is_aggregate(&self) -> bool {
        self.description.evaluate.is_none()
    }

    /// Whether a flag of [`abi`] is set.
    pub fn has(&self, flag: u32) -> bool {
        self.description.flags & flag != 0
    }

    /// Whether rows can be taken out of its states again.
    pub fn can_retract(&self) -> bool {
        self.description.retract.is_some()
    }

    /// Bytes of a state.
    pub fn state_size(&self) -> usize {
        self.description.state_size as usize
    }
}
