//! Which digits are in these pictures? Raw pictures of 8 by 8 bytes, white ink on black.
use std::ffi::c_void;
use std::{env, fs, process, ptr};

include!(concat!(env!("OUT_DIR"), "/digits.rs"));

/// `cnncc_call` of the C header.
#[repr(C)]
struct Call {
    abi: u32,
    fingerprint: u32,
    apart: u32,
    images: u32,
    shard: u32,
    shards: u32,
    inputs: *const *const c_void,
    outputs: *const *mut c_void,
    workspace: *mut c_void,
    weights: *const c_void,
    wait: Option<extern "C" fn(*mut c_void)>,
    wait_argument: *mut c_void,
}

extern "C" {
    fn digits_run(call: *const Call) -> i32;
    fn digits_check() -> i32;
    static digits_weights: [u8; 1];
}

#[repr(C, align(64))]
struct Workspace([u8; WORKSPACE_BYTES]);

/// The network with the memory that it works in; a call needs it alone.
struct Digits(Box<Workspace>);

impl Digits {
    fn new() -> Result<Self, String> {
        match unsafe { digits_check() } {
            0 => Ok(Digits(Box::new(Workspace([0; WORKSPACE_BYTES])))),
            _ => Err("this processor cannot run the network".into()),
        }
    }

    /// The probability of each digit.
    #[allow(unused_unsafe)] // Rust before 1.82 wants it around the address of a foreign static
    fn scores(&mut self, picture: &[f32; 64]) -> Result<[f32; 10], String> {
        let mut scores = [0f32; 10];
        let inputs = [picture.as_ptr().cast::<c_void>()];
        let outputs = [scores.as_mut_ptr().cast::<c_void>()];
        let call = Call {
            abi: ABI,
            fingerprint: FINGERPRINT,
            apart: 0,
            images: 1,
            shard: 0,
            shards: 1,
            inputs: inputs.as_ptr(),
            outputs: outputs.as_ptr(),
            workspace: ptr::addr_of_mut!(*self.0).cast(),
            weights: unsafe { ptr::addr_of!(digits_weights).cast() },
            wait: None,
            wait_argument: ptr::null_mut(),
        };
        match unsafe { digits_run(&call) } {
            0 => Ok(scores),
            code => Err(format!("the network returned error {code}")),
        }
    }
}

fn which(digits: &mut Digits, path: &str) -> Result<usize, String> {
    let bytes = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let bytes: [u8; 64] = bytes.try_into().map_err(|_| format!("{path}: not a picture of 8 by 8 bytes"))?;
    let scores = digits.scores(&bytes.map(|grey| f32::from(grey) / 255.0))?;
    Ok((0..10).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap())
}

fn run() -> Result<(), String> {
    let mut digits = Digits::new()?;
    for path in env::args().skip(1) {
        println!("{path}: {}", which(&mut digits, &path)?);
    }
    Ok(())
}

fn main() {
    if let Err(message) = run() {
        eprintln!("{message}");
        process::exit(1);
    }
}
