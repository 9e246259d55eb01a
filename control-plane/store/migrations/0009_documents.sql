CREATE TABLE `desired_contents` (
	`hash` text PRIMARY KEY NOT NULL,
	`deployments` text NOT NULL
);
--> statement-breakpoint
-- Not taken apart: bytes that came out differently under the same generation would tell hosts that the key lies. Each host
-- is given a newer document at the next start.
DELETE FROM `desired`;--> statement-breakpoint
ALTER TABLE `desired` DROP COLUMN `payload`;--> statement-breakpoint
ALTER TABLE `desired` DROP COLUMN `signature`;--> statement-breakpoint
ALTER TABLE `desired` DROP COLUMN `inclusion`;
