//! The board: an emulated ARM machine with a card, a network and a port by which it is commanded.
//!
//! Its power can be cut: SIGKILL to the emulator loses what the guest's page cache held, as a power cut does. It does
//! not model a card that lies about flushes, nor torn or reordered sectors.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::wait::{Wait, until};

/// What the kernel, the program and the guest's first process are taken from.
#[derive(Debug, Clone)]
pub struct Parts {
    /// What `prepare` made.
    pub made: PathBuf,
    /// Where this run keeps its card, its logs and its sockets.
    pub folder: PathBuf,
}

/// How long a command in the guest may take.
const COMMAND_MAX: Duration = Duration::from_secs(180);

/// The card, larger than any run fills unless it wants to.
const CARD: &str = "96M";

/// A machine with power.
pub struct Machine {
    emulator: Child,
    port: BufReader<UnixStream>,
    console: PathBuf,
    /// When the power came on.
    pub on_since: Instant,
}

impl Parts {
    /// A card without anything on it.
    pub fn new_card(&self) {
        let card = self.card();
        let _there_was_none = fs::remove_file(&card);
        let made = Command::new("/sbin/mkfs.ext4")
            .args(["-q", "-F"])
            .arg(&card)
            .arg(CARD)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(made.is_ok_and(|status| status.success()), "mkfs.ext4 cannot make a card: install Debian's e2fsprogs");
    }

    /// The card's image.
    pub fn card(&self) -> PathBuf {
        self.folder.join("card.img")
    }

    /// The files that the guest finds under /etc/tillbox.
    ///
    /// A kernel unpacks several archives one after the other: the run's own follows what was prepared.
    pub fn write_etc(&self, files: &[(&str, &str)]) {
        let etc = self.folder.join("etc/tillbox");
        let _there_was_none = fs::remove_dir_all(&etc);
        fs::create_dir_all(&etc).unwrap();
        for (name, text) in files {
            fs::write(etc.join(name), text).unwrap();
        }
        let mut ird = fs::read(self.made.join("ird.gz")).unwrap();
        let script = "chmod 600 etc/tillbox/* && find etc | cpio --quiet -o -H newc";
        let packed = Command::new("sh").args(["-c", script]).current_dir(&self.folder).output().unwrap();
        assert!(packed.status.success(), "cpio: {}", String::from_utf8_lossy(&packed.stderr));
        ird.resize(ird.len().next_multiple_of(4), 0);
        ird.extend(packed.stdout);
        fs::write(self.folder.join("ird"), ird).unwrap();
    }

    /// Switches the power on; the program starts by itself.
    pub fn boot(&self, number: u32) -> Machine {
        self.power_on(number, &self.folder.join("ird"), &["-m", "256"], "")
    }

    /// The same for a machine with another initramfs, more arguments for its emulator, and more words for its kernel.
    pub fn power_on(&self, number: u32, ird: &Path, arguments: &[&str], words: &str) -> Machine {
        let (socket, console) = (self.folder.join("port"), self.folder.join(format!("console-{number}.log")));
        let _there_was_none = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let mut command = ends_with_us("qemu-system-aarch64");
        command
            .args(["-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-display", "none", "-no-reboot"])
            .args(["-monitor", "none", "-append", &format!("console=ttyAMA0 quiet panic=-1 {words}")])
            .args(arguments)
            .arg("-kernel")
            .arg(self.made.join("vmlinuz"))
            .arg("-initrd")
            .arg(ird)
            .args(["-serial", &format!("file:{}", console.display())])
            .args(["-drive", &format!("file={},format=raw,if=none,id=card,cache=writeback", self.card().display())])
            .args(["-device", "virtio-blk-device,drive=card"])
            .args(["-netdev", "user,id=net", "-device", "virtio-net-device,netdev=net"])
            .args(["-chardev", &format!("socket,id=port,path={}", socket.display())])
            .args(["-device", "virtio-serial-device", "-device", "virtserialport,chardev=port,name=box"]);
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let on_since = Instant::now();
        let emulator = quiet.spawn().unwrap_or_else(|error| panic!("qemu-system-aarch64: {error}"));
        let (port, _) = listener.accept().unwrap();
        port.set_read_timeout(Some(COMMAND_MAX)).unwrap();
        Machine { emulator, port: BufReader::new(port), console, on_since }
    }
}

impl Machine {
    /// Has a command of the guest's shell done; gives what it said.
    pub fn run(&mut self, command: &str) -> String {
        self.try_run(command).unwrap_or_else(|said| panic!("in the guest, `{command}`: {said}\n{}", self.console()))
    }

    /// The same for a command that may fail.
    pub fn try_run(&mut self, command: &str) -> Result<String, String> {
        self.port.get_mut().write_all(format!("{command}\n").as_bytes()).map_err(|error| error.to_string())?;
        let mut said = String::new();
        loop {
            let mut line = String::new();
            match self.port.read_line(&mut line) {
                Ok(0) => return Err(format!("the machine is gone: {said}")),
                Ok(_) => {}
                Err(error) => return Err(format!("no answer ({error}): {said}")),
            }
            match line.strip_prefix("=== ") {
                Some("0\n") => return Ok(said),
                Some(code) => return Err(format!("{said}exit code {code}")),
                None => said += &line,
            }
        }
    }

    /// What the kernel, the guest's first process and the program said since the power came on.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.console).unwrap_or_default()).into_owned()
    }

    /// Waits for a line on the console.
    pub fn wait_for(&self, part: &str, limit: Duration) -> Wait {
        until(limit, || self.console().contains(part))
    }

    /// Cuts the power.
    pub fn cut(mut self) -> Duration {
        let on = self.on_since.elapsed();
        self.switch_off();
        on
    }

    fn switch_off(&mut self) {
        let _gone_already = (self.emulator.kill(), self.emulator.wait());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.switch_off();
    }
}

/// A program that the kernel ends when this process is gone, however that ended.
pub fn ends_with_us(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// A folder for a run of this name, which replaces the one of the run before.
pub fn folder(made: &Path, name: &str) -> PathBuf {
    let folder = made.join("runs").join(name);
    let _there_was_none = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}
