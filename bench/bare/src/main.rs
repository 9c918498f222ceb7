//! Bare Pingora: what the framework costs when nothing is added to it. `/api` goes to two servers in turn, everything
//! else to one; `upstream_peer` is the only callback. The same allocator, pool size, build and kind
//! of runtime (one that steals no work) as Tidegate.
//!
//!     tidegate-bare LISTEN API_1 API_2 FRONTEND

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::services::background::{GenBackgroundService, background_service};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use pingora_load_balancing::LoadBalancer;
use pingora_load_balancing::health_check::TcpHealthCheck;
use pingora_load_balancing::selection::RoundRobin;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// As Tidegate's.
const UPSTREAM_POOL: usize = 4096;
const CHECK_EVERY: Duration = Duration::from_secs(2);

struct Bare {
    api: Arc<LoadBalancer<RoundRobin>>,
    frontend: Arc<LoadBalancer<RoundRobin>>,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, session: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        let is_api = session.req_header().uri.path().starts_with("/api");
        let servers = if is_api { &self.api } else { &self.frontend };
        let server = servers.select(b"", 16).ok_or_else(|| Error::new(ErrorType::ConnectNoRoute))?;
        Ok(Box::new(HttpPeer::new(server, false, String::new())))
    }
}

type Balancer = GenBackgroundService<LoadBalancer<RoundRobin>>;

fn balancer(servers: &[String]) -> std::io::Result<Balancer> {
    let mut balancer = LoadBalancer::try_from_iter(servers)?;
    balancer.set_health_check(TcpHealthCheck::new());
    balancer.health_check_frequency = Some(CHECK_EVERY);
    Ok(background_service("health checks", balancer))
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, api_1, api_2, frontend] = arguments.as_slice() else {
        return Err(std::io::Error::other("usage: tidegate-bare LISTEN API_1 API_2 FRONTEND"));
    };
    let settings = ServerConf {
        threads: 1,
        work_stealing: false,
        upstream_keepalive_pool_size: UPSTREAM_POOL,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, settings);
    server.bootstrap();
    let api = balancer(&[api_1.clone(), api_2.clone()])?;
    let frontend = balancer(std::slice::from_ref(frontend))?;
    let bare = Bare { api: api.task(), frontend: frontend.task() };
    let mut proxy = http_proxy_service(&server.configuration, bare);
    proxy.add_tcp(listen);
    server.add_service(proxy);
    server.add_service(api);
    server.add_service(frontend);
    server.run_forever()
}
