-- A gallery of schema 2, as `sqlite3 .dump` prints it: that of schema 1 with terms, a demanded consent and an audit.
PRAGMA application_id = 1417110648;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE audit (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        time TEXT NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        subjects JSON NOT NULL,
        details JSON NOT NULL);
INSERT INTO "audit" VALUES(1,'2025-01-02T03:04:05.678900+00:00','root','enroll','[1,3]','{"model":"a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1","references":[1,3]}');
INSERT INTO "audit" VALUES(2,'2025-01-02T03:04:05.678900+00:00','root','erase','[2]','{"crops":1,"references":[2],"samples":1,"subjects":1,"templates":1}');
INSERT INTO "audit" VALUES(3,'2025-01-02T03:04:05.678900+00:00','root','verify','[2]','{"bytes":4096,"erasure":2,"files":1,"found_in":["journal"],"result":"pending","samples":1,"templates":1,"time":"2025-01-02T03:04:05+00:00","verified_by":"scan"}');
CREATE TABLE changes (
        revision INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL CHECK (kind IN ('enrolled', 'erased')),
        reference INTEGER NOT NULL);
INSERT INTO "changes" VALUES(1,'enrolled',1);
INSERT INTO "changes" VALUES(2,'enrolled',2);
INSERT INTO "changes" VALUES(3,'enrolled',3);
INSERT INTO "changes" VALUES(4,'erased',2);
CREATE TABLE gallery (
        id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
        gallery_id TEXT NOT NULL,
        keep_crops BOOLEAN NOT NULL,
        created TEXT NOT NULL,
        threshold JSON, consent_required BOOLEAN NOT NULL DEFAULT 0);
INSERT INTO "gallery" VALUES(1,'00000000-0000-4000-8000-000000000001',1,'2025-01-02T03:04:05.678900+00:00','{"fingerprint":"a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1","gallery_size":2,"method":"empirical","probability":0.75,"report":{"fnir":0.25},"target_fpir":0.01}',1);
CREATE TABLE generations (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        fingerprint TEXT NOT NULL,
        index_spec TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('building', 'active', 'retired')),
        created TEXT NOT NULL,
        activated TEXT,
        snapshot JSON);
INSERT INTO "generations" VALUES(1,'a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1','Flat','active','2025-01-02T03:04:05.678900+00:00','2025-01-02T03:04:05.678900+00:00','{"count":2,"file":"generation-1.faiss","length":128,"revision":4,"sha256":"c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3"}');
CREATE TABLE job_items (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        job_id INTEGER NOT NULL REFERENCES jobs (id),
        path BLOB,
        subject TEXT,
        status TEXT NOT NULL CHECK (status IN ('pending', 'enrolled', 'skipped', 'failed')),
        reason TEXT,
        reference INTEGER, consent TEXT, expires TEXT,
        UNIQUE (job_id, path, subject));
INSERT INTO "job_items" VALUES(1,1,X'70686F746F732F6164612E6A7067','ada','enrolled',NULL,1,NULL,NULL);
INSERT INTO "job_items" VALUES(2,1,NULL,NULL,'enrolled',NULL,2,NULL,NULL);
INSERT INTO "job_items" VALUES(3,1,X'70686F746F732F636166EDB3A92E6A7067','zo' || char(235),'pending',NULL,NULL,'form 18','2031-01-01T00:00:00.000000+00:00');
CREATE TABLE jobs (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        parameters JSON NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('running', 'finished', 'interrupted', 'failed')),
        created TEXT NOT NULL,
        finished TEXT);
INSERT INTO "jobs" VALUES(1,'enroll','{"paths":["photos"]}','interrupted','2025-01-02T03:04:05.678900+00:00',NULL);
CREATE TABLE "references" (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        sample_id INTEGER NOT NULL REFERENCES samples (id),
        subject_id INTEGER NOT NULL REFERENCES subjects (id),
        enrolled TEXT NOT NULL, consent TEXT, expires TEXT,
        UNIQUE (sample_id, subject_id));
INSERT INTO "references" VALUES(1,1,1,'2025-01-02T03:04:05.678900+00:00',NULL,NULL);
INSERT INTO "references" VALUES(3,3,3,'2025-01-02T03:04:05.678900+00:00','form 17','2999-12-31T00:00:00.000000+00:00');
CREATE TABLE samples (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        source_sha256 TEXT NOT NULL,
        source_name TEXT NOT NULL,
        face_index INTEGER NOT NULL,
        face JSON,
        quality FLOAT NOT NULL,
        crop_sha256 BLOB,
        crop BLOB,
        UNIQUE (source_sha256, face_index));
INSERT INTO "samples" VALUES(1,'e5a5555d73bc0e1568d65563abf327bd6c0b9b9dc3336e86e0b17e865e9ee6d2','ada.jpg',0,'{"box":[1.5,2,30,40],"confidence":0.875,"landmarks":[[0,1],[2,3],[4,5],[6,7],[8,9.5]]}',12.5,X'87EEC34D975647C0C4E9A9F8A3CA954B753D6490E7F254BCAD84B3E9B12D2D0C',X'63726F70206F6620666163652031');
INSERT INTO "samples" VALUES(3,'73fb47247808eefa92140859d5aeee8955cca452b9f6873e67ecbeba9276a3f4','caf\xe9.jpg',0,NULL,12.5,X'BC8D227B133E46A942C43990CCB9F7D219A4BFA2B7B0EFAADE11C215495ABE12',X'63726F70206F6620666163652033');
CREATE TABLE subjects (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        details JSON NOT NULL,
        created TEXT NOT NULL);
INSERT INTO "subjects" VALUES(1,'ada','{"team":"engines"}','2025-01-02T03:04:05.678900+00:00');
INSERT INTO "subjects" VALUES(3,'zo' || char(235),'{}','2025-01-02T03:04:05.678900+00:00');
CREATE TABLE templates (
        id INTEGER NOT NULL PRIMARY KEY,
        reference_id INTEGER NOT NULL REFERENCES "references" (id),
        fingerprint TEXT NOT NULL,
        sha256 BLOB NOT NULL,
        vector BLOB NOT NULL,
        UNIQUE (fingerprint, reference_id));
INSERT INTO "templates" VALUES(1,1,'a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1',X'90A928E11851C87F6CD3A8E1F6E77BB1182EF69DC418887A2676F912F1AE87D4',X'0000803F000000000000000000000000');
INSERT INTO "templates" VALUES(3,3,'a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1',X'50B98A7FE0CADE7030464D0450B6432E896F34203F234FD9ED0520E322F810CA',X'0000003F000000BF0000003F000000BF');
CREATE INDEX references_subject ON "references" (subject_id);
CREATE INDEX templates_reference ON templates (reference_id);
CREATE UNIQUE INDEX generations_one_active ON generations (state) WHERE state = 'active';
CREATE INDEX references_expires ON "references" (expires) WHERE expires IS NOT NULL;
CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_keeps_words BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_keeps_numbers BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('subjects',3);
INSERT INTO "sqlite_sequence" VALUES('samples',3);
INSERT INTO "sqlite_sequence" VALUES('references',3);
INSERT INTO "sqlite_sequence" VALUES('changes',4);
INSERT INTO "sqlite_sequence" VALUES('generations',1);
INSERT INTO "sqlite_sequence" VALUES('jobs',1);
INSERT INTO "sqlite_sequence" VALUES('job_items',3);
INSERT INTO "sqlite_sequence" VALUES('audit',3);
COMMIT;
