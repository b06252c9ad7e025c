-- The common data model. Columns are those of the entity table in daemon/transform/entity.c, in its
-- order; a test compares the two. Natural-key indexes lead with the id (rules, section 3).
--
-- Facts are found by their patient and provider through BRIN bloom filters: they cost a first load of
-- 1,000,000 transactions nothing to speak of, where two btrees over random ids cost 10 s of 24 s. Settle asks
-- for few patients at a time, or joins the whole table.

CREATE SEQUENCE silver.patient_key_seq INCREMENT 10000; -- a block of keys per nextval
CREATE TABLE silver.patients (
    patient_key bigint PRIMARY KEY,
    source_system text COLLATE "C" NOT NULL,
    source_patient_id text COLLATE "C" NOT NULL,
    person_id uuid,
    first_name text,
    middle_name text,
    last_name text,
    ssn text,
    birth_date date,
    gender text,
    phone text,
    phone_extension text,
    email text,
    address text,
    city text,
    state text,
    zip text,
    source_payer_id text COLLATE "C",
    payer_key bigint,
    member_id text,
    effective_date timestamptz NOT NULL,
    expiry_date timestamptz NOT NULL,
    is_current boolean NOT NULL,
    version int NOT NULL,
    is_inferred boolean NOT NULL DEFAULT false,
    dq_flags text[] NOT NULL DEFAULT '{}',
    is_deleted boolean NOT NULL DEFAULT false,
    source_hash bigint,
    record_hash bytea,
    source_inserted_at timestamptz,
    source_modified_at timestamptz,
    batch_id bigint NOT NULL,
    mapping_version int NOT NULL DEFAULT 0,
    CHECK (effective_date < expiry_date)
);
CREATE UNIQUE INDEX patients_current ON silver.patients (source_patient_id, source_system) WHERE is_current;
CREATE UNIQUE INDEX patients_version ON silver.patients (source_patient_id, source_system, version);
CREATE UNIQUE INDEX patients_effective ON silver.patients (source_patient_id, source_system, effective_date);
CREATE INDEX patients_batch ON silver.patients USING brin (batch_id);

CREATE SEQUENCE silver.provider_key_seq INCREMENT 10000; -- a block of keys per nextval
CREATE TABLE silver.providers (
    provider_key bigint PRIMARY KEY,
    source_system text COLLATE "C" NOT NULL,
    source_provider_id text COLLATE "C" NOT NULL,
    first_name text,
    last_name text,
    specialization text,
    source_department_id text COLLATE "C",
    npi text,
    npi_status text,
    effective_date timestamptz NOT NULL,
    expiry_date timestamptz NOT NULL,
    is_current boolean NOT NULL,
    version int NOT NULL,
    is_inferred boolean NOT NULL DEFAULT false,
    dq_flags text[] NOT NULL DEFAULT '{}',
    is_deleted boolean NOT NULL DEFAULT false,
    source_hash bigint,
    record_hash bytea,
    source_inserted_at timestamptz,
    source_modified_at timestamptz,
    batch_id bigint NOT NULL,
    mapping_version int NOT NULL DEFAULT 0,
    CHECK (effective_date < expiry_date)
);
CREATE UNIQUE INDEX providers_current ON silver.providers (source_provider_id, source_system) WHERE is_current;
CREATE UNIQUE INDEX providers_version ON silver.providers (source_provider_id, source_system, version);
CREATE UNIQUE INDEX providers_effective ON silver.providers (source_provider_id, source_system, effective_date);
CREATE INDEX providers_batch ON silver.providers USING brin (batch_id);

CREATE SEQUENCE silver.department_key_seq INCREMENT 10000; -- a block of keys per nextval
CREATE TABLE silver.departments (
    department_key bigint PRIMARY KEY,
    source_system text COLLATE "C" NOT NULL,
    source_department_id text COLLATE "C" NOT NULL,
    name text,
    is_inferred boolean NOT NULL DEFAULT false,
    dq_flags text[] NOT NULL DEFAULT '{}',
    is_deleted boolean NOT NULL DEFAULT false,
    source_hash bigint,
    record_hash bytea,
    source_inserted_at timestamptz,
    source_modified_at timestamptz,
    batch_id bigint NOT NULL,
    mapping_version int NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX departments_natural ON silver.departments (source_department_id, source_system);
CREATE INDEX departments_batch ON silver.departments USING brin (batch_id);
CREATE TABLE silver.departments_past (
    LIKE silver.departments INCLUDING DEFAULTS,
    batch_from bigint NOT NULL,
    batch_to bigint NOT NULL
);
CREATE INDEX departments_past_natural ON silver.departments_past (source_department_id, source_system);

CREATE SEQUENCE silver.payer_key_seq INCREMENT 10000; -- a block of keys per nextval
CREATE TABLE silver.payers (
    payer_key bigint PRIMARY KEY,
    source_system text COLLATE "C" NOT NULL,
    source_payer_id text COLLATE "C" NOT NULL,
    name text,
    payer_name text,
    payer_type text,
    reference_status text,
    dq_flags text[] NOT NULL DEFAULT '{}',
    is_deleted boolean NOT NULL DEFAULT false,
    source_hash bigint,
    record_hash bytea,
    source_inserted_at timestamptz,
    source_modified_at timestamptz,
    batch_id bigint NOT NULL,
    mapping_version int NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX payers_natural ON silver.payers (source_payer_id, source_system);
CREATE INDEX payers_batch ON silver.payers USING brin (batch_id);
CREATE TABLE silver.payers_past (
    LIKE silver.payers INCLUDING DEFAULTS,
    batch_from bigint NOT NULL,
    batch_to bigint NOT NULL
);
CREATE INDEX payers_past_natural ON silver.payers_past (source_payer_id, source_system);

CREATE SEQUENCE silver.procedure_key_seq INCREMENT 10000; -- a block of keys per nextval
CREATE TABLE silver.procedures (
    procedure_key bigint PRIMARY KEY,
    code text COLLATE "C" NOT NULL,
    code_system text,
    description text,
    category text,
    reference_status text,
    batch_id bigint NOT NULL
);
CREATE UNIQUE INDEX procedures_natural ON silver.procedures (code, code_system);
CREATE INDEX procedures_batch ON silver.procedures USING brin (batch_id);

CREATE SEQUENCE silver.diagnosis_key_seq INCREMENT 10000; -- a block of keys per nextval
CREATE TABLE silver.diagnoses (
    diagnosis_key bigint PRIMARY KEY,
    code text COLLATE "C" NOT NULL,
    code_system text,
    description text,
    chapter text,
    reference_status text,
    batch_id bigint NOT NULL
);
CREATE UNIQUE INDEX diagnoses_natural ON silver.diagnoses (code, code_system);
CREATE INDEX diagnoses_batch ON silver.diagnoses USING brin (batch_id);

CREATE TABLE silver.dates (
    date_key int PRIMARY KEY,
    date date,
    year int,
    quarter int,
    month int,
    month_name text,
    iso_week int,
    day_of_week int,
    day_name text,
    is_weekend boolean,
    is_holiday boolean,
    is_business_day boolean,
    fiscal_year int,
    fiscal_quarter int,
    batch_id bigint NOT NULL
);
CREATE UNIQUE INDEX dates_natural ON silver.dates (date);
CREATE INDEX dates_batch ON silver.dates USING brin (batch_id);

CREATE SEQUENCE silver.encounter_key_seq INCREMENT 10000; -- a block of keys per nextval
CREATE TABLE silver.encounters (
    encounter_key bigint PRIMARY KEY,
    source_system text COLLATE "C" NOT NULL,
    source_encounter_id text COLLATE "C" NOT NULL,
    source_patient_id text COLLATE "C",
    source_provider_id text COLLATE "C",
    source_department_id text COLLATE "C",
    patient_key bigint,
    provider_key bigint,
    department_key bigint,
    procedure_key bigint,
    encounter_date date,
    encounter_type text,
    procedure_code text,
    dq_flags text[] NOT NULL DEFAULT '{}',
    is_deleted boolean NOT NULL DEFAULT false,
    source_hash bigint,
    record_hash bytea,
    source_inserted_at timestamptz,
    source_modified_at timestamptz,
    batch_id bigint NOT NULL,
    mapping_version int NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX encounters_natural ON silver.encounters (source_encounter_id, source_system);
CREATE INDEX encounters_patient ON silver.encounters USING brin (source_patient_id text_bloom_ops);
CREATE INDEX encounters_provider ON silver.encounters USING brin (source_provider_id text_bloom_ops);
CREATE INDEX encounters_batch ON silver.encounters USING brin (batch_id);
CREATE TABLE silver.encounters_past (
    LIKE silver.encounters INCLUDING DEFAULTS,
    batch_from bigint NOT NULL,
    batch_to bigint NOT NULL
);
CREATE INDEX encounters_past_natural ON silver.encounters_past (source_encounter_id, source_system);

CREATE SEQUENCE silver.transaction_key_seq INCREMENT 10000; -- a block of keys per nextval
CREATE TABLE silver.transactions (
    transaction_key bigint PRIMARY KEY,
    source_system text COLLATE "C" NOT NULL,
    source_transaction_id text COLLATE "C" NOT NULL,
    source_encounter_id text COLLATE "C",
    source_patient_id text COLLATE "C",
    source_provider_id text COLLATE "C",
    source_department_id text COLLATE "C",
    source_payer_id text COLLATE "C",
    source_claim_id text COLLATE "C",
    patient_key bigint,
    provider_key bigint,
    department_key bigint,
    procedure_key bigint,
    diagnosis_key bigint,
    payer_key bigint,
    visit_date date,
    service_date date,
    paid_date date,
    visit_type text,
    amount_type text,
    amount numeric(14,2),
    paid_amount numeric(14,2),
    payment_status text,
    procedure_code text,
    diagnosis_code text,
    line_of_business text,
    medicaid_id text,
    medicare_id text,
    patient_age int,
    dq_flags text[] NOT NULL DEFAULT '{}',
    is_deleted boolean NOT NULL DEFAULT false,
    source_hash bigint,
    record_hash bytea,
    source_inserted_at timestamptz,
    source_modified_at timestamptz,
    batch_id bigint NOT NULL,
    mapping_version int NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX transactions_natural ON silver.transactions (source_transaction_id, source_system);
CREATE INDEX transactions_patient ON silver.transactions USING brin (source_patient_id text_bloom_ops);
CREATE INDEX transactions_provider ON silver.transactions USING brin (source_provider_id text_bloom_ops);
CREATE INDEX transactions_batch ON silver.transactions USING brin (batch_id);
CREATE TABLE silver.transactions_past (
    LIKE silver.transactions INCLUDING DEFAULTS,
    batch_from bigint NOT NULL,
    batch_to bigint NOT NULL
);
CREATE INDEX transactions_past_natural ON silver.transactions_past (source_transaction_id, source_system);

CREATE SEQUENCE silver.claim_key_seq INCREMENT 10000; -- a block of keys per nextval
CREATE TABLE silver.claims (
    claim_key bigint PRIMARY KEY,
    source_system text COLLATE "C" NOT NULL,
    source_claim_id text COLLATE "C" NOT NULL,
    iteration int NOT NULL,
    is_final boolean NOT NULL,
    source_transaction_id text COLLATE "C",
    source_encounter_id text COLLATE "C",
    source_patient_id text COLLATE "C",
    source_provider_id text COLLATE "C",
    source_department_id text COLLATE "C",
    source_payer_id text COLLATE "C",
    patient_key bigint,
    provider_key bigint,
    department_key bigint,
    payer_key bigint,
    service_date date,
    claim_date date,
    decision_date date,
    claim_amount numeric(14,2),
    paid_amount numeric(14,2),
    deductible numeric(14,2),
    coinsurance numeric(14,2),
    copay numeric(14,2),
    claim_status text,
    payment_status text,
    payer_type text,
    coverage_percent numeric(7,2),
    file_id bigint,
    line bigint,
    dq_flags text[] NOT NULL DEFAULT '{}',
    is_deleted boolean NOT NULL DEFAULT false,
    source_hash bigint,
    record_hash bytea,
    source_inserted_at timestamptz,
    source_modified_at timestamptz,
    batch_id bigint NOT NULL,
    mapping_version int NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX claims_natural ON silver.claims (source_claim_id, source_system, iteration);
CREATE INDEX claims_patient ON silver.claims USING brin (source_patient_id text_bloom_ops);
CREATE INDEX claims_provider ON silver.claims USING brin (source_provider_id text_bloom_ops);
CREATE INDEX claims_transaction ON silver.claims (source_transaction_id, source_system);
CREATE INDEX claims_batch ON silver.claims USING brin (batch_id);
CREATE INDEX claims_file ON silver.claims USING brin (file_id);
CREATE TABLE silver.claims_past (
    LIKE silver.claims INCLUDING DEFAULTS,
    batch_from bigint NOT NULL,
    batch_to bigint NOT NULL
);
CREATE INDEX claims_past_natural ON silver.claims_past (source_claim_id, source_system);

CREATE SEQUENCE silver.adjustment_key_seq INCREMENT 10000; -- a block of keys per nextval
CREATE TABLE silver.adjustments (
    adjustment_key bigint PRIMARY KEY,
    source_system text COLLATE "C" NOT NULL,
    source_claim_id text COLLATE "C" NOT NULL,
    iteration int NOT NULL,
    service_line int,
    group_code text,
    reason_code text,
    position int,
    claim_date date,
    remark_codes text,
    amount numeric(14,2),
    quantity int,
    file_id bigint,
    line bigint,
    dq_flags text[] NOT NULL DEFAULT '{}',
    is_deleted boolean NOT NULL DEFAULT false,
    source_hash bigint,
    record_hash bytea,
    source_inserted_at timestamptz,
    source_modified_at timestamptz,
    batch_id bigint NOT NULL,
    mapping_version int NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX adjustments_natural ON silver.adjustments (source_claim_id, source_system, iteration, service_line, group_code,
    reason_code, position);
CREATE INDEX adjustments_batch ON silver.adjustments USING brin (batch_id);
CREATE TABLE silver.adjustments_past (
    LIKE silver.adjustments INCLUDING DEFAULTS,
    batch_from bigint NOT NULL,
    batch_to bigint NOT NULL
);
CREATE INDEX adjustments_past_natural ON silver.adjustments_past (source_claim_id, source_system);

-- Deliveries of a claim that do not show as an iteration: another delivery stands for their run. Kept, so
-- that a late one that slots in between them makes the iterations it would have made in time.
CREATE TABLE silver.claims_absorbed (LIKE silver.claims INCLUDING DEFAULTS);
CREATE INDEX claims_absorbed_natural ON silver.claims_absorbed (source_claim_id, source_system);

CREATE TABLE silver.person_link (
    source_patient_id text COLLATE "C" NOT NULL,
    source_system text COLLATE "C" NOT NULL,
    person_id uuid NOT NULL,
    rule text NOT NULL,
    run_id bigint,
    linked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source_patient_id, source_system)
);
CREATE INDEX person_link_person ON silver.person_link (person_id);
CREATE TABLE silver.person_alias (
    old_id uuid PRIMARY KEY,
    person_id uuid NOT NULL,
    rule text NOT NULL
);
CREATE TABLE silver.person_review (
    review_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    members text[] NOT NULL,
    rule text NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'linked', 'dismissed')),
    created_at timestamptz NOT NULL DEFAULT now()
);
