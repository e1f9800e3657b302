//! Servers as processes of their own, and the devices they host.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use burn::remote::RemoteHost;
use burn::tensor::Device;

/// A process that hosts Flex devices on a free port of the loopback interface, and ends with its owner.
pub struct Server {
    process: Child,
    pub url: String,
}

impl Server {
    pub fn start() -> Self {
        Self::with_devices(1)
    }

    pub fn with_devices(count: usize) -> Self {
        // The system gives ports again, and to Burn a server at the address of a dead one is dead, too.
        static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        let server = Self::spawn(count);
        let new = SEEN.lock().unwrap().insert(server.url.clone());
        match new {
            true => server,
            // This one keeps its port until the next one has another.
            false => Self::with_devices(count),
        }
    }

    fn spawn(count: usize) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_server"))
            .args(["127.0.0.1:0", &count.to_string()])
            .stdout(Stdio::piped())
            // What a killed peer makes it log.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        Self {
            process,
            url: url.trim().to_owned(),
        }
    }

    /// Connects to one of its devices.
    pub fn device(&self, index: usize) -> Device {
        Device::remote_options(&RemoteHost::websocket(&self.url))
            .device_index(index)
            .init()
            .unwrap()
    }

    /// Ends the process as a crash would.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two servers, and a device on each.
pub fn two() -> ([Server; 2], [Device; 2]) {
    let servers = [Server::start(), Server::start()];
    let devices = servers.each_ref().map(|server| server.device(0));
    (servers, devices)
}
