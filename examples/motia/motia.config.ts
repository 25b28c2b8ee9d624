// Motia keeps events, state and cron locks in this Redis, which the steps use too (lock.url in
// espo-advo.toml). It is a server of your own, with persistence: what Motia starts by itself is
// a download, for one machine, and gone when Motia goes.
export default {
  redis: {
    useMemoryServer: false,
    host: process.env.MOTIA_REDIS_HOST ?? '127.0.0.1',
    port: Number(process.env.MOTIA_REDIS_PORT ?? '6379'),
    username: process.env.MOTIA_REDIS_USERNAME,
    password: process.env.MOTIA_REDIS_PASSWORD,
    db: Number(process.env.MOTIA_REDIS_DB ?? '0'),
  },
}
