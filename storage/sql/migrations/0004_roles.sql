-- Least privilege (design, section 4). Group roles; the accounts people make are members of them.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'revcycle_daemon') THEN
        CREATE ROLE revcycle_daemon NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'revcycle_reader') THEN
        CREATE ROLE revcycle_reader NOLOGIN;
    END IF;
END $$;

GRANT USAGE ON SCHEMA ops, silver, dq, gold, kpi TO revcycle_daemon;
GRANT USAGE, CREATE ON SCHEMA bronze TO revcycle_daemon;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ops, silver, dq TO revcycle_daemon;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA ops, silver, dq TO revcycle_daemon;
REVOKE UPDATE, DELETE ON ops.audit FROM revcycle_daemon;
REVOKE INSERT, UPDATE, DELETE ON ops.secret, ops.database FROM revcycle_daemon;

ALTER DEFAULT PRIVILEGES IN SCHEMA ops, silver, dq
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO revcycle_daemon;
ALTER DEFAULT PRIVILEGES IN SCHEMA ops, silver, dq GRANT USAGE ON SEQUENCES TO revcycle_daemon;
ALTER DEFAULT PRIVILEGES IN SCHEMA gold, kpi GRANT SELECT ON TABLES TO revcycle_daemon;
ALTER DEFAULT PRIVILEGES IN SCHEMA gold, kpi GRANT SELECT ON TABLES TO revcycle_reader;
GRANT USAGE ON SCHEMA gold, kpi TO revcycle_reader;
GRANT SELECT ON public.revcycle_migration TO revcycle_daemon;
