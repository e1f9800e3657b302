//! What Burn does when asked for distributed data parallel training on remote devices.
//!
//! It ends the process, so the test starts this binary anew. When one of these fails, Burn takes it: update the
//! table in `docs/src/reference/support-matrix.md` and test the strategy.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/harness/mod.rs"]
mod harness;
mod servers;

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use burn::remote::RemoteHost;
use burn::tensor::Device;
use burn::tensor::distributed::{DistributedConfig, ReduceOperation};
use burn::train::ExecutionStrategy;
use harness::{EPOCHS, Net, Strategy, adamw, learner, training_on};
use servers::Server;

/// The devices of the process that ends, as `url#index`, parted by spaces.
const DEVICES: &str = "BURN_GROW_DDP_DEVICES";
/// Far more than a run takes: what is slower hangs.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn worker() {
    let Ok(devices) = std::env::var(DEVICES) else {
        return;
    };
    let connect = |device: &str| {
        let (url, index) = device.rsplit_once('#').unwrap();
        Device::remote_options(&RemoteHost::websocket(url))
            .device_index(index.parse::<usize>().unwrap())
            .init()
            .unwrap()
    };
    let devices: Vec<Device> = devices.split(' ').map(connect).collect();
    let all_reduce_op = ReduceOperation::Mean;
    let config = DistributedConfig { all_reduce_op };
    let ddp = ExecutionStrategy::ddp(devices.clone(), config);
    let directory = tempfile::tempdir().unwrap();
    let model = Net::new(4, 4, 0.0, &Device::flex().autodiff());
    let strategy = Strategy::MultiMain;
    training_on(&devices, directory.path(), strategy, EPOCHS)
        .with_training_strategy(ddp.into())
        .launch(learner(model, adamw(), strategy));
}

/// What a process that trains on `devices` ends with.
fn rejection(devices: [String; 2]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["worker", "--exact", "--nocapture"])
        .env(DEVICES, devices.join(" "))
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let status = loop {
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > PATIENCE {
            process.kill().unwrap();
            panic!("hangs: {}", fs::read_to_string(&log).unwrap());
        }
        sleep(Duration::from_millis(20));
    };
    let log = fs::read_to_string(log).unwrap();
    assert!(!status.success(), "{log}");
    log
}

#[test]
fn two_servers_are_rejected() {
    let servers = [Server::start(), Server::start()];
    let devices = servers.each_ref().map(|server| format!("{}#0", server.url));
    let rejection = rejection(devices);
    let expected = "cross-peer all_reduce is not supported yet: the tensor is on `ws://";
    assert!(rejection.contains(expected), "{rejection}");
}

/// The server's Flex has no collective operations; the program hears of it when it reads.
#[test]
fn two_devices_of_one_server_are_lost() {
    let server = Server::with_devices(2);
    let rejection = rejection([0, 1].map(|index| format!("{}#{index}", server.url)));
    let expected = "Failed to read tensor: RecvError(())";
    assert!(rejection.contains(expected), "{rejection}");
}
